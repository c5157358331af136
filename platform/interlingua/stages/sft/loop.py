"""The training loop of both models: step, look at `dev`, keep the best, be ready to go on.

Written once against an Engine and a Program; every rank runs it. Knows neither Ray nor DeepSpeed,
nor what is trained. What a step sees depends on its number alone, so a run that was broken off
goes on as if it had not been.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load
from torch import Tensor, nn

from interlingua.core.keyed import seed_of
from interlingua.core.schedule import rate_factor
from interlingua.specs.training import OptimSpec, WatchSpec
from interlingua.stages.sft.best_weights import (
    ABOUT_A_DEV_EVAL,
    BEST,
    ROWS_NAME,
    WEIGHTS_NAME,
    best_dev_eval,
    best_folder,
    forget_best,
    is_better,
    keep_best,
)
from interlingua.stages.sft.engine import Engine, ParamGroup
from interlingua.stages.sft.job import TrainingJob
from interlingua.store.atomic import write_atomically
from interlingua.store.peak import note_peak
from interlingua.store.progress import DEV_EVALS_NAME, MetricsLog, read_dev_evals
from interlingua.store.reading import naming, read_parquet

CHECKPOINTS = "checkpoints"
COUNTS_NAME = "corpus.json"
REPORT_EVERY = 10

Rows = list[dict[str, Any]]
Place = tuple[int, ...]  # in the order of a look, which batches do not keep
Placed = list[tuple[Place, dict[str, Any]]]


class TrainingDiverged(RuntimeError):
    """The loss is no number any more."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of a batch is a rank's."""

    rank: int
    world_size: int
    micro_batch_rows: int


class Program(Protocol):
    """What is trained, on what, and how it is looked at."""

    @property
    def module(self) -> nn.Module:
        """module(micro_batch) is its part of the global loss, times `world_size`."""

    @property
    def optim(self) -> OptimSpec: ...

    @property
    def watch(self) -> WatchSpec: ...

    @property
    def seed(self) -> int: ...

    def groups(self) -> list[ParamGroup]:
        """What is trained."""

    def micro_batches(self, step: int, share: Share) -> Sequence[Any]:
        """This rank's part of the global batch of a step."""

    def dev_batches(self) -> Sequence[Any]:
        """Everything that is looked at, in batches; the same in every rank."""

    def dev_rows(self, batch: Any) -> Placed:
        """One row a scored item, with its place in a look."""

    def summarized(self, rows: Rows) -> Mapping[str, float]:
        """The numbers of a look; `score` decides which weights are kept, less is better."""

    def counts(self) -> Mapping[str, int]:
        """What the corpus had, and what of it could not be used."""


MakeProgram = Callable[[TrainingJob], Program]


def train(program: Program, engine: Engine, job: TrainingJob) -> None:
    """Train from the last checkpoint to the end; the best weights and their rows lie in BEST."""
    optim, watch = program.optim, program.watch
    share = Share(engine.rank, engine.world_size, job.micro_batch_rows)
    checkpoints = _RunCheckpoints(engine, job)
    step = checkpoints.resume()
    log = MetricsLog(job.out, resume_step=step) if engine.rank == 0 else None
    if engine.rank == 0:
        with write_atomically(job.out / COUNTS_NAME) as file:
            file.write(json.dumps(program.counts()).encode())
    clock = time.monotonic()
    while True:
        is_last = step == optim.num_steps
        if is_last or step % watch.validate_every == 0:
            checkpoints.evaluate(step, program)
        if is_last:
            return
        if step % watch.checkpoint_every == 0 and step > 0:
            checkpoints.checkpoint(step)
        # Dropout must not depend on what ran before a resume.
        torch.manual_seed(seed_of(program.seed, step, engine.rank))
        factor = rate_factor(
            step, num_steps=optim.num_steps, warmup_steps=optim.warmup_steps, decay=optim.decay
        )
        stepped = engine.step(program.micro_batches(step, share), factor)
        step += 1
        if not np.isfinite(stepped.loss):
            raise TrainingDiverged(
                f"the loss of step {step} is {stepped.loss}; lower the learning rate "
                f"({optim.learning_rate:g}) or train in float32 ({optim.dtype} now)"
            )
        if log is not None and (step % REPORT_EVERY == 0 or step == optim.num_steps):
            log.append(
                step,
                num_steps=optim.num_steps,
                loss=stepped.loss,
                grad_norm=stepped.grad_norm,
                learning_rate=factor * optim.learning_rate,
                rows_per_second=REPORT_EVERY * optim.batch_rows / (time.monotonic() - clock),
                **checkpoints.last_dev_eval,
            )
            clock = time.monotonic()


def forget_training(out: Path) -> None:
    """Remove what only resuming needs; after the metrics, whose failure must cost no training."""
    for name in (BEST, CHECKPOINTS):
        shutil.rmtree(out / name, ignore_errors=True)


class _RunCheckpoints:
    """Checkpoints, looks and the best weights of a run, in the stage's folder."""

    def __init__(self, engine: Engine, job: TrainingJob) -> None:
        self._engine, self._job = engine, job
        self._dev_evals: list[dict[str, float]] = []
        self.last_dev_eval: dict[str, float] = {}

    def resume(self) -> int:
        """Put the engine where the last whole checkpoint stands; its step, or 0."""
        done = [int(path.name) for path in self._folder.glob("[0-9]*") if path.name.isdigit()]
        # All ranks must agree, also where one sees the shared disk a moment later.
        step: int = min(self._engine.gathered(max(done, default=0)))
        if step:
            self._engine.load(self._folder / str(step))
        dev_evals: list[dict[str, float]] = self._engine.gathered(read_dev_evals(self._job.out))[0]
        self._dev_evals = [dev_eval for dev_eval in dev_evals if dev_eval["step"] < step]
        if self._dev_evals:  # reports go on as if nothing had been broken off
            self.last_dev_eval = _reported(self._dev_evals[-1])
        return step

    def checkpoint(self, step: int) -> None:
        """Everything that is needed to go on from this step; older ones go."""
        target = self._folder / str(step)
        partial = self._folder / f"{step}.partial"
        if target.exists():
            return
        for folder in (self._folder, partial):  # not their parents: who lost the lock has none
            folder.mkdir(exist_ok=True)
        self._engine.save(partial)
        note_peak(self._job.out)
        self._engine.gathered(None)  # every rank has written
        if self._engine.rank == 0:
            partial.rename(target)
            for path in self._folder.iterdir():
                if path != target:
                    shutil.rmtree(path)
            # To go on from here is to look at this step again, and to know those before it.
            before = [dev_eval for dev_eval in self._dev_evals if dev_eval["step"] < step]
            forget_best(self._job.out, but=_best_steps(before, self._dev_evals))
        self._engine.gathered(None)

    def evaluate(self, step: int, program: Program) -> None:
        """Score the dev rows; keep weights and rows where they are the best so far."""
        numbers = program.summarized(rows := _dev_rows(program, self._engine))
        min_delta = program.watch.min_delta
        is_best = is_better(numbers["score"], self._dev_evals, min_delta=min_delta)
        dev_eval = {"step": step, "is_best": is_best, **numbers}
        self._dev_evals.append(dev_eval)
        self.last_dev_eval = _reported(dev_eval)
        weights = self._engine.trained_weights() if is_best else {}
        if self._engine.rank == 0:
            if is_best:
                keep_best(self._job.out, step, weights, pa.Table.from_pylist(rows))
            with write_atomically(self._job.out / DEV_EVALS_NAME) as file:
                file.write("".join(json.dumps(line) + "\n" for line in self._dev_evals).encode())

    @property
    def _folder(self) -> Path:
        return self._job.out / CHECKPOINTS


def _reported(dev_eval: Mapping[str, float]) -> dict[str, float]:
    return {f"dev_{name}": v for name, v in dev_eval.items() if name not in ABOUT_A_DEV_EVAL}


def best_of(out: Path) -> tuple[dict[str, Tensor], dict[str, np.ndarray], dict[str, float]]:
    """The best weights of a finished run, their dev rows by column, and the look at them."""
    dev_eval = best_dev_eval(read_dev_evals(out))
    folder = best_folder(out, int(dev_eval["step"]))
    with naming(folder / WEIGHTS_NAME):
        weights = load((folder / WEIGHTS_NAME).read_bytes())
    table = read_parquet(folder / ROWS_NAME)
    columns = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return weights, columns, dev_eval


def _best_steps(*several: Sequence[dict[str, float]]) -> set[int]:
    return {int(best_dev_eval(dev_evals)["step"]) for dev_evals in several if dev_evals}


def _dev_rows(program: Program, engine: Engine) -> Rows:
    """The rows of all dev batches, each scored by one rank, in their places."""
    batches = program.dev_batches()
    # Under ZeRO 3 a forward needs all ranks: all make as many, the last of them for nothing.
    num_rounds = -(-len(batches) // engine.world_size)
    mine: list[Placed] = []
    with engine.forwarding():
        for turn in range(num_rounds):
            place = min(turn * engine.world_size + engine.rank, len(batches) - 1)
            mine.append(program.dev_rows(batches[place]))
    by_rank = engine.gathered(mine)
    placed = [
        row
        for place in range(len(batches))
        for row in by_rank[place % engine.world_size][place // engine.world_size]
    ]
    return [row for _, row in sorted(placed, key=itemgetter(0))]
