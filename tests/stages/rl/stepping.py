"""A few steps of a run by hand: what two kinds of roles must agree on."""

from interlingua.specs.splits import Split
from interlingua.stages.rl import learn
from interlingua.stages.rl_corpus import RlCorpus
from interlingua.store.splits import SplitAccess

COMPARED = ("reward", "kl_per_text", "mean_tokens", "num_failed", "loss_av", "loss_ar",
            "grad_norm_av", "grad_norm_ar", "num_skipped_av", "num_skipped_ar")  # fmt: skip


def first_steps(roles, job, num_steps=3):
    """What the first steps report."""
    corpus = RlCorpus(job.spec, job.inputs, SplitAccess({Split.RL, Split.FIT, Split.DEV}))
    reports = [learn(step, job.spec.rl, roles, corpus) for step in range(num_steps)]
    return [{name: report[name] for name in COMPARED} for report in reports]
