"""The loop of reinforcement learning: the AV learns by what the AR rebuilds, the AR beside it.

Written once against the roles of `roles.py`; a Reinforcer runs it. Shapes: B activations of a
step, N = B x G samples of them. Knows neither who steps the weights nor where a role is. Left out:
several optimizer steps on one set of samples, and samples of older weights.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from interlingua.core.keyed import seed_of
from interlingua.core.policy import group_advantages, group_deviation, rewarded
from interlingua.core.schedule import rate_factor
from interlingua.specs.rl import RlSpec, RlWatch
from interlingua.specs.training import OptimSpec
from interlingua.stages.rl.corpus import RlCorpus
from interlingua.stages.rl.dev_eval import DevEval, evaluated_on_dev, failed_gate, kl_sums
from interlingua.stages.rl.job import READ, RlJob
from interlingua.stages.rl.roles import Corpus, Judgement, PolicyStepped, Roles, Rollouts
from interlingua.stages.rl.trained_pair import TrainedPair
from interlingua.stages.running.context import Ended, OnDevEval, ignore_dev_eval
from interlingua.stages.sft.checkpoints import RunCheckpoints
from interlingua.stages.sft.engine import Stepped
from interlingua.store.atomic import write_atomically
from interlingua.store.rows.rollouts import ROLLOUTS_FOLDER, rollouts_name
from interlingua.store.rows.splits import SplitAccess

START_ROWS_NAME = "start_rows.parquet"
COUNTED = ("num_samples", "num_failed", "num_skipped_av", "num_skipped_ar")
PHASES = ("sample", "judge", "learn_av", "learn_ar")

logger = logging.getLogger(__name__)


class TooManySkipped(RuntimeError):
    """The gradients of more steps than a run allows were not finite."""


def play(job: RlJob, roles: Roles, on_dev_eval: OnDevEval) -> Ended:
    """Run all of it with these roles; called in every rank of the AV."""
    corpus = RlCorpus(job.spec, job.inputs, SplitAccess(READ))
    return reinforce(job.spec.rl, roles, corpus, job.out, on_dev_eval)


def reinforce(
    spec: RlSpec,
    roles: Roles,
    corpus: Corpus,
    out: Path,
    on_dev_eval: OnDevEval = ignore_dev_eval,
) -> Ended:
    """Learn from the last checkpoint to the last step, or until a gate ends the run.

    Every rank runs this, and the numbers that decide are the same in all of them: a rank that ended
    alone would leave the others waiting.
    """
    watch, pair = spec.watch, TrainedPair(roles)
    checkpoints = RunCheckpoints(pair, out, min_delta=watch.min_delta, on_dev_eval=on_dev_eval)
    for step in range(checkpoints.resume(), spec.num_steps + 1):
        is_last = step == spec.num_steps
        if is_last or step % watch.evaluate_every == 0:
            dev_eval = evaluated_on_dev(roles, corpus, spec)
            if pair.rank == 0:
                _write_rollouts(out, step, dev_eval)
            gate = _gate_after(step, dev_eval, watch, checkpoints)
            # The weights of a failed gate are not the best: those stored before it are the result.
            if is_last or gate is not None:
                return Ended(gate, dict(pair.counts))
        if step % watch.checkpoint_every == 0 and step > 0:
            checkpoints.checkpoint(step)
        metrics = learn(step, spec, roles, corpus)
        # Before the next checkpoint, which holds them: a resume counts no step twice.
        pair.counts.update({name: int(metrics[name]) for name in COUNTED})
        pair.counts["num_steps"] = step + 1
        checkpoints.report(step + 1, metrics)
        _check_skipped(pair.counts, spec)
        # Checked every step, not only at evaluations: a policy can drift away in between.
        gate = _closed_at_a_step(metrics, watch)
        if gate is not None:
            return Ended(gate, dict(pair.counts))
    raise AssertionError("the last step returns")


def learn(step: int, spec: RlSpec, roles: Roles, corpus: Corpus) -> dict[str, float]:
    """One step: sample, judge, reward, and each model learns; returns its metrics."""
    # Dropout must not depend on what ran before a resume.
    torch.manual_seed(seed_of(spec.seed, step, roles.av.rank))
    clock = Stopwatch()
    asked = corpus.asked(step)
    variance = corpus.variances[asked.host_tag]
    with clock.phase("sample"):
        # One seed for all steps: the names in `asked` hold the step.
        rollouts = roles.av.sample(asked, num_samples=spec.group_size, seed=spec.seed)
    with clock.phase("judge"):
        judged = roles.judge(rollouts)
    rewards_N, is_failed_N = rewarded(
        judged.a_NE, rollouts.v_BE, rollouts.num_tokens_N, spec=spec, variance=variance
    )
    stepped: dict[str, Stepped] = {}
    if spec.av is not None:
        # Rewards are compared within a group: how hard an activation is cancels out.
        advantages_N = group_advantages(rewards_N, spec.group_size, floor=spec.advantage_floor)
        with clock.phase("learn_av"):
            stepped["av"] = roles.av.step(
                rollouts,
                advantages_N=advantages_N,
                reference_NT=judged.reference_NT,
                factor=_factor(step, spec, spec.av),
            )
    if spec.ar is not None:  # after the rewards: those are of the AR that the samples met
        factor = _factor(step, spec, spec.ar)
        with clock.phase("learn_ar"):
            seed = seed_of(spec.seed, step)
            stepped["ar"] = roles.ar.step(rollouts, variance=variance, factor=factor, seed=seed)
    return {
        "num_steps": spec.num_steps,
        **_about(rollouts, judged, rewards_N, spec),
        "num_samples": len(rewards_N),
        "num_failed": int(is_failed_N.sum()),
        **_about_learning(stepped),
        **clock.seconds(judged.seconds_waited),
    }


def _gate_after(
    step: int, dev_eval: DevEval, watch: RlWatch, checkpoints: RunCheckpoints
) -> str | None:
    """Note an evaluation on `dev`; returns the gate it fails, with which it cannot be the best."""
    # The first evaluation is of the supervised pair: it is the measure of all others.
    start = checkpoints.dev_evals[0] if checkpoints.dev_evals else dev_eval.numbers
    gate = failed_gate(dev_eval.numbers, start, watch)
    rows = pa.table(dev_eval.columns)
    checkpoints.add(step, dev_eval.numbers, rows, may_be_best=gate is None)
    return gate


def _write_rollouts(out: Path, step: int, dev_eval: DevEval) -> None:
    """Store the rows of every evaluation; those of the start twice, to pair the gain with."""
    # An evaluation that a resume makes again takes the place of what it was.
    (out / ROLLOUTS_FOLDER).mkdir(exist_ok=True)
    names = [rollouts_name(step), *([START_ROWS_NAME] if step == 0 else [])]
    for name in names:
        with write_atomically(out / name) as file:
            pq.write_table(pa.table(dev_eval.columns), file)


def _closed_at_a_step(metrics: Mapping[str, float], watch: RlWatch) -> str | None:
    """The gate that a step's own numbers do not pass; None where they pass all."""
    limits = {"kl_per_token": watch.max_kl_per_token, "log_ratio_p99": watch.max_log_ratio}
    for name, limit in limits.items():
        # An AV that does not learn has no ratio. Not `>`: a NaN must not pass the gate.
        if limit is not None and name in metrics and not metrics[name] <= limit:
            return f"{name} is {metrics[name]:.4f}, above its gate at {limit:.4f}"
    return None


class Stopwatch:
    """The seconds of every phase of a step."""

    def __init__(self) -> None:
        self._started, self._seconds = time.perf_counter(), dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to this phase."""
        started = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - started

    def seconds(self, waited: float) -> dict[str, float]:
        """Seconds by phase and of the whole step; `waited` for roles is a part of `judge`."""
        named = {f"seconds_{name}": seconds for name, seconds in self._seconds.items()}
        whole = time.perf_counter() - self._started
        return {**named, "seconds_wait": waited, "seconds_step": whole}


def _about(
    rollouts: Rollouts, judged: Judgement, rewards_N: np.ndarray, spec: RlSpec
) -> dict[str, float]:
    num_tokens = int(rollouts.num_tokens_N.sum())
    kl_N = kl_sums(rollouts, judged.reference_NT)
    return {
        "reward": float(rewards_N.mean()),
        "group_deviation": group_deviation(rewards_N, spec.group_size),
        # Of the policy that drew the samples, before this step.
        "kl_per_token": float(kl_N.sum()) / num_tokens,
        "kl_per_text": float(kl_N.mean()),
        "entropy_per_token": -float(rollouts.log_probs_NT.sum(dtype=np.float64)) / num_tokens,
        "mean_tokens": num_tokens / len(rewards_N),
    }


def _about_learning(stepped: Mapping[str, Stepped]) -> dict[str, float]:
    metrics: dict[str, float] = {"num_skipped_av": 0, "num_skipped_ar": 0}
    for name, one in stepped.items():
        metrics[f"loss_{name}"], metrics[f"grad_norm_{name}"] = one.loss, one.grad_norm
        metrics[f"num_skipped_{name}"] = int(one.is_skipped)
        if isinstance(one, PolicyStepped):
            metrics["log_ratio_mean"] = one.log_ratio_mean
            metrics["log_ratio_p99"] = one.log_ratio_p99
    return metrics


def _factor(step: int, spec: RlSpec, learner: OptimSpec) -> float:
    return rate_factor(
        step, num_steps=spec.num_steps, warmup_steps=learner.warmup_steps, decay=learner.decay
    )


def _check_skipped(counts: Counter[str], spec: RlSpec) -> None:
    for name in ("av", "ar"):
        # A share of all steps of the run: a few early ones do not end it.
        skipped, allowed = counts[f"num_skipped_{name}"], spec.max_skipped_share * spec.num_steps
        if skipped > allowed:
            raise TooManySkipped(
                f"{skipped} of {counts['num_steps']} steps of the {name.upper()} had no finite "
                f"gradient; RlSpec.max_skipped_share allows {allowed:g} of {spec.num_steps}: lower "
                f"RlSpec.{name}.learning_rate or train in float32"
            )
