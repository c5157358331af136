"""A few steps of a run by hand: what two kinds of roles must agree on."""

from dataclasses import replace

import numpy as np

from interlingua.specs.splits import Split
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.loop import learn
from interlingua.store.rows.splits import SplitAccess

COMPARED = ("reward", "kl_per_text", "mean_tokens", "num_failed", "loss_av", "loss_ar",
            "grad_norm_av", "grad_norm_ar", "num_skipped_av", "num_skipped_ar",
            "log_ratio_mean", "log_ratio_p99")  # fmt: skip


def first_steps(roles, job, num_steps=3):
    """What the first steps report; log-probs of samples are a little off, of each by its own."""
    roles.av.sample = disagreeing(roles.av.sample, lambda count: 1e-3 * np.arange(count))
    corpus = RlCorpus(job.spec, job.inputs, SplitAccess({Split.RL, Split.FIT, Split.DEV}))
    reports = [learn(step, job.spec.rl, roles, corpus) for step in range(num_steps)]
    return [{name: report[name] for name in COMPARED} for report in reports]


def disagreeing(sample, by):
    """Sampling whose log-probs are above those of the policy, of every sample by its own amount."""

    def sampled(asked, **how):
        rollouts = sample(asked, **how)
        above_N1 = by(len(rollouts.ids_NT)).astype(np.float32)[:, None]
        return replace(rollouts, log_probs_NT=rollouts.log_probs_NT + above_N1 * rollouts.mask_NT)

    return sampled
