"""One step of AV and AR, supervised and reinforced: the same on another device, in another dtype?

Gradients are compared, not weights: the first step of AdamW has the sign of a gradient alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.gpu_sides import (
    NUM_NEW,
    NUM_ROWS,
    Bound,
    drawn_ids,
    engine_on,
    gradient_of,
    l2,
    number,
    prompt_on,
    random_host,
    reconstructor_on,
    vectors,
    verbalizer_on,
)
from bench.gpu_sizes import REFERENCE, Side, Sizes, small_qwen3
from bench.lines import Number
from bench.rl_roles import (
    HOST,
    Job,
    RandomCorpus,
    engine_over,
    identity_space,
    random_verbalizer,
)
from interlingua.models.pair.prompts import IGNORED
from interlingua.stages.rl.ar import EngineReconstructor, SupervisedReconstructor
from interlingua.stages.rl.av import EngineVerbalizer, Policy, Reference
from interlingua.stages.rl.local_roles import LocalJudge
from interlingua.stages.rl.loop import learn
from interlingua.stages.rl.roles import Asked, PolicyStepped, Roles, Rollouts
from interlingua.stages.sft.ar import ArBatch, ArLearner
from interlingua.stages.sft.av import AvBatch, AvLearner
from interlingua.stages.sft.engine import Stepped, TorchEngine


def av_step(sizes: Sizes) -> Iterator[Number]:
    """A supervised step of the AV's adapters."""
    with random_host() as folder:
        found = {side: _av_stepped(folder, side) for side in (REFERENCE, *sizes.sides)}
    yield from step_numbers(found, sizes.sides)


def ar_step(sizes: Sizes) -> Iterator[Number]:
    """A supervised step of the AR's adapters."""
    with random_host() as folder:
        found = {side: _ar_stepped(folder, side) for side in (REFERENCE, *sizes.sides)}
    yield from step_numbers(found, sizes.sides)


@dataclass(frozen=True, slots=True)
class Step:
    """A step, and the gradient that its optimizer was given."""

    stepped: Stepped
    gradient_P: Tensor


def step_numbers(
    found: Mapping[Side, Step], sides: Sequence[Side], *, of: str = ""
) -> Iterator[Number]:
    """How far loss, norm and gradient of a step are from the reference's."""
    one = found[REFERENCE]
    for side in sides:
        other = found[side]
        loss = abs(other.stepped.loss / one.stepped.loss - 1)
        yield number(f"{of}loss, share of it", side, loss, Bound(1e-5, 2e-2))
        norm = abs(other.stepped.grad_norm / one.stepped.grad_norm - 1)
        yield number(f"{of}norm of the gradient, share of it", side, norm, Bound(1e-4, 1e-1))
        yield gradient_number(one.gradient_P, other.gradient_P, side, of=of)


def gradient_number(one_P: Tensor, other_P: Tensor, side: Side, *, of: str = "") -> Number:
    """How far a gradient is from the reference's."""
    error = l2(other_P - one_P) / l2(one_P)
    return number(f"{of}gradient, share of its norm", side, error, Bound(1e-4, 2e-1))


def _av_stepped(folder: Path, side: Side) -> Step:
    space = identity_space(small_qwen3().hidden_size)
    learner = AvLearner(verbalizer_on(folder, side), space, {HOST: prompt_on(side)})
    response_BT = drawn_ids((NUM_ROWS, NUM_NEW), seed=5)
    response_BT[::2, -NUM_NEW // 4 :] = IGNORED
    batch = AvBatch(
        host_tag=HOST,
        keys=(),
        h_BD=vectors().to(side.device),
        response_BT=response_BT.to(side.device),
        weight=1 / int((response_BT != IGNORED).sum()),
    )
    return _stepped(engine_on(learner, side), batch)


def _ar_stepped(folder: Path, side: Side) -> Step:
    learner = ArLearner(reconstructor_on(folder, side))
    ids_BT = drawn_ids((NUM_ROWS, NUM_NEW), seed=6)
    pull_BE = nn.functional.normalize(vectors(), dim=-1)
    batch = ArBatch(
        keys=(),
        ids_BT=ids_BT.to(side.device),
        mask_BT=torch.ones_like(ids_BT).to(side.device),
        pull_BE=pull_BE.to(side.device),
        push=1.0,
        weight=1 / NUM_ROWS,
    )
    return _stepped(engine_on(learner, side), batch)


def _stepped(engine: TorchEngine, batch: Any) -> Step:
    return Step(engine.step([batch], 1.0), gradient_of(engine))


@dataclass(frozen=True, slots=True)
class RlStep:
    """What a side drew by itself, and its step on the reference's samples."""

    rollouts: Rollouts
    metrics: Mapping[str, float]
    av_gradient_P: Tensor
    ar_gradient_P: Tensor


class Replayed:
    """An AV that has drawn its samples already: all sides learn from the same."""

    rank = 0

    def __init__(self, av: EngineVerbalizer, rollouts: Rollouts) -> None:
        self._av, self._rollouts = av, rollouts

    def sample(self, asked: Asked, *, num_samples: int, seed: int) -> Rollouts:
        """Those that there are."""
        return self._rollouts

    def step(self, rollouts: Rollouts, **given: Any) -> PolicyStepped:
        """The AV's own step."""
        return self._av.step(rollouts, **given)


def rl_step(sizes: Sizes) -> Iterator[Number]:
    """Samples by keyed draws; then rewards and the step of both models on the reference's."""
    with random_host() as folder:
        one = _reinforced(folder, REFERENCE, None)
        for side in sizes.sides:
            other = _reinforced(folder, side, one.rollouts)
            yield from _rl_numbers(one, other, side)


def _rl_numbers(one: RlStep, other: RlStep, side: Side) -> Iterator[Number]:
    if side.dtype == REFERENCE.dtype:
        share = float((one.rollouts.ids_NT != other.rollouts.ids_NT).mean())
        # A draw falls otherwise where its uniform number is at an edge, to rounding.
        yield number("sampled ids that differ, share", side, share, Bound(1e-2, 1))
    for name, bound in (("reward", Bound(1e-5, 2e-2)), ("loss_ar", Bound(1e-5, 2e-2))):
        error = abs(other.metrics[name] / one.metrics[name] - 1)
        yield number(f"{name}, share of it", side, error, bound)
    ratio = other.metrics["log_ratio_p99"]
    name = "|log p - log p as it was sampled|, p99, nats"
    yield number(name, side, ratio, Bound(1e-4, 1e-1))
    yield gradient_number(one.av_gradient_P, other.av_gradient_P, side, of="AV: ")
    yield gradient_number(one.ar_gradient_P, other.ar_gradient_P, side, of="AR: ")


def _reinforced(folder: Path, side: Side, rollouts: Rollouts | None) -> RlStep:
    """A step on these samples; None: on the side's own."""
    job = _job(folder, side)
    spec, corpus = job.rl(), RandomCorpus(job)
    prompt, verbalizer = prompt_on(side), verbalizer_on(folder, side)
    policy = Policy(verbalizer, {HOST: prompt}, clip_ratio=spec.clip_ratio, kl_coef=spec.kl_coef)
    av_engine, ar_engine = (
        engine_over(module, job)
        for module in (policy, SupervisedReconstructor(reconstructor_on(folder, side)))
    )
    av = random_verbalizer(av_engine, policy, prompt, job)
    ar = EngineReconstructor(
        ar_engine,
        width=job.config["width"],
        micro_batch_rows=job.micro_batch_rows,
        batch_rows=job.batch_rows,
        device=side.device,
    )
    reference = Reference(
        av_engine, av_engine.trained_weights(), batch_rows=job.batch_rows, device=side.device
    )
    own = av.sample(corpus.asked(0), num_samples=spec.group_size, seed=spec.seed)
    replayed: Any = Replayed(av, rollouts or own)
    metrics = learn(0, spec, Roles(replayed, ar, LocalJudge(ar, reference)), corpus)
    return RlStep(own, metrics, gradient_of(av_engine), gradient_of(ar_engine))


def _job(folder: Path, side: Side) -> Job:
    config = small_qwen3()
    return Job(
        config={"width": config.hidden_size},
        dtype=side.dtype,
        num_activations=4,
        group_size=4,
        num_new=NUM_NEW,
        out=folder,
        device=side.device,
        threads=1,
        micro_batch_rows=8,
        batch_rows=16,
    )
