"""The training loop of both models: step, evaluate on `dev`, store the best, checkpoint.

Written once against an Engine and a Program; every rank runs it. Knows neither Ray nor DeepSpeed,
nor what is trained. What a step sees depends on its number alone, so a run that was interrupted
ends like one that was not.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from interlingua.core.keyed import seed_of
from interlingua.core.schedule import rate_factor
from interlingua.specs.training import OptimSpec, WatchSpec
from interlingua.stages.running.context import OnDevEval, ignore_dev_eval
from interlingua.stages.sft.checkpoints import RunCheckpoints
from interlingua.stages.sft.engine import Engine, ParamGroup, Stepped
from interlingua.stages.sft.job import TrainingJob
from interlingua.store.atomic import write_atomically

COUNTS_NAME = "corpus.json"
REPORT_EVERY = 10

Rows = list[dict[str, Any]]
Place = tuple[int, ...]  # the order of an evaluation's rows, which batches by length break up
Placed = list[tuple[Place, dict[str, Any]]]


class TrainingDiverged(RuntimeError):
    """The loss is not finite any more."""


@dataclass(frozen=True, slots=True)
class Share:
    """A rank's part of a batch."""

    rank: int
    world_size: int
    micro_batch_rows: int


class Program(Protocol):
    """A module to train, its batches by step, and its evaluation on `dev`."""

    @property
    def module(self) -> nn.Module:
        """The trained module: module(micro_batch) is a part of the global loss, times `world_size`.

        The factor undoes the mean over ranks that data-parallel engines take of gradients.
        """

    @property
    def num_steps(self) -> int: ...

    @property
    def batch_rows(self) -> int:
        """Rows of a global batch, whatever the number of workers."""

    @property
    def optim(self) -> OptimSpec: ...

    @property
    def watch(self) -> WatchSpec: ...

    @property
    def seed(self) -> int: ...

    def groups(self) -> list[ParamGroup]:
        """The trained weights, grouped by their peak learning rate."""

    def micro_batches(self, step: int, share: Share) -> Sequence[Any]:
        """This rank's part of the global batch of a step."""

    def dev_batches(self) -> Sequence[Any]:
        """All batches of an evaluation; the same list in every rank."""

    def dev_rows(self, batch: Any) -> Placed:
        """One row for each scored item, with its place in the evaluation."""

    def summarized(self, rows: Rows) -> Mapping[str, float]:
        """The numbers of an evaluation; the least `score` decides which weights are stored."""

    def counts(self) -> Mapping[str, int]:
        """Counts of the corpus, and of what of it could not be used."""


MakeProgram = Callable[[TrainingJob], Program]


def train(
    program: Program,
    engine: Engine,
    job: TrainingJob,
    on_dev_eval: OnDevEval = ignore_dev_eval,
) -> None:
    """Train from the last checkpoint to the end; the best weights and their rows lie in BEST."""
    num_steps, optim, watch = program.num_steps, program.optim, program.watch
    share = Share(engine.rank, engine.world_size, job.micro_batch_rows)
    checkpoints = RunCheckpoints(
        engine, job.out, min_delta=watch.min_delta, on_dev_eval=on_dev_eval
    )
    if engine.rank == 0:
        with write_atomically(job.out / COUNTS_NAME) as file:
            file.write(json.dumps(program.counts()).encode())
    first = checkpoints.resume()
    clock, num_reported = time.monotonic(), first
    for step in range(first, num_steps + 1):
        is_last = step == num_steps
        # Before the checkpoint of the same step: a resume from there makes this evaluation again.
        if is_last or step % watch.validate_every == 0:
            rows = _dev_rows(program, engine)
            checkpoints.add(step, program.summarized(rows), pa.Table.from_pylist(rows))
        if is_last:
            return
        if step % watch.checkpoint_every == 0 and step > 0:
            checkpoints.checkpoint(step)
        # Dropout must not depend on what ran before a resume.
        torch.manual_seed(seed_of(program.seed, step, engine.rank))
        factor = rate_factor(
            step, num_steps=num_steps, warmup_steps=optim.warmup_steps, decay=optim.decay
        )
        stepped = engine.step(program.micro_batches(step, share), factor)
        num_done = step + 1
        _check_finite(stepped.loss, num_done, optim)
        if num_done % REPORT_EVERY == 0 or num_done == num_steps:
            # With evaluations and checkpoints in between: how fast the run really is.
            speed = (num_done - num_reported) * program.batch_rows / (time.monotonic() - clock)
            checkpoints.report(num_done, _reported(program, stepped, factor, speed))
            clock, num_reported = time.monotonic(), num_done


def _reported(program: Program, stepped: Stepped, factor: float, speed: float) -> dict[str, float]:
    return {
        "num_steps": program.num_steps,
        "loss": stepped.loss,
        "grad_norm": stepped.grad_norm,
        "learning_rate": factor * program.optim.learning_rate,
        "rows_per_second": speed,
    }


def _check_finite(loss: float, step: int, optim: OptimSpec) -> None:
    if not np.isfinite(loss):
        raise TrainingDiverged(
            f"the loss of step {step} is {loss}; lower the learning rate "
            f"({optim.learning_rate:g}) or train in float32 ({optim.dtype} now)"
        )


def _dev_rows(program: Program, engine: Engine) -> Rows:
    """The rows of all `dev` batches, each scored by one rank, in the order of their places."""
    batches = program.dev_batches()
    # Under ZeRO 3 a forward needs all ranks: all make as many, the last of them for nothing.
    num_rounds = -(-len(batches) // engine.world_size)
    mine: list[Placed] = []
    with engine.forwarding():
        for turn in range(num_rounds):
            place = min(turn * engine.world_size + engine.rank, len(batches) - 1)
            mine.append(program.dev_rows(batches[place]))
    # Batch i was scored by rank i % world_size in round i // world_size; what a rank scored
    # only to keep pace is not looked up.
    by_rank = engine.gathered(mine)
    placed = [
        row
        for place in range(len(batches))
        for row in by_rank[place % engine.world_size][place // engine.world_size]
    ]
    return [row for _, row in sorted(placed, key=itemgetter(0))]
