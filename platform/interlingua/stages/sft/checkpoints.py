"""The checkpoints of a training run, its evaluations on `dev`, and the best weights among them.

One class for every kind of training. A run resumes from its last whole checkpoint; the evaluations
from that step on are made again, and may differ. Knows neither a loss nor a row.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from torch import Tensor

from interlingua.stages.running.context import OnDevEval, ignore_dev_eval
from interlingua.stages.sft.best_weights import (
    BEST,
    best_dev_eval,
    forget_best,
    is_better,
    keep_best,
)
from interlingua.store.atomic import write_atomically
from interlingua.store.peak import note_peak
from interlingua.store.progress import DEV_EVALS_NAME, TIME, MetricsLog, now, read_dev_evals

CHECKPOINTS = "checkpoints"


class Checkpointed(Protocol):
    """An object that is trained, over one or more ranks: an Engine, or several models as one."""

    @property
    def rank(self) -> int: ...

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in order; waits for all of them."""

    def trained_weights(self) -> dict[str, Tensor]:
        """The trained weights by name, whole, in fp32 on the CPU."""

    def save(self, folder: Path) -> None:
        """Write all that a resume needs into an existing folder."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class RunCheckpoints:
    """The stage's folder as a run leaves it; every rank calls every method, rank 0 writes."""

    def __init__(
        self,
        trained: Checkpointed,
        out: Path,
        *,
        min_delta: float,
        on_dev_eval: OnDevEval = ignore_dev_eval,
    ) -> None:
        self._trained, self._out, self._min_delta = trained, out, min_delta
        self._on_dev_eval = on_dev_eval
        self._folder = out / CHECKPOINTS
        self._log: MetricsLog | None = None
        self.dev_evals: list[dict[str, float]] = []

    def resume(self) -> int:
        """Load the last whole checkpoint; returns its step, 0 where there is none."""
        # `isdigit` leaves out `100.partial`: only the rename makes a checkpoint whole.
        done = [int(path.name) for path in self._folder.glob("[0-9]*") if path.name.isdigit()]
        # All ranks must agree, also where one sees the shared disk a moment later.
        step: int = min(self._trained.gathered(max(done, default=0)))
        if step:
            self._trained.load(self._folder / str(step))
        # Rank 0's, for all: later every rank must decide alike which evaluation is the best.
        dev_evals: list[dict[str, float]] = self._trained.gathered(read_dev_evals(self._out))[0]
        self.dev_evals = _before(step, dev_evals)
        if self._trained.rank == 0:
            self._log = MetricsLog(self._out, resume_step=step)
        return step

    def checkpoint(self, step: int) -> None:
        """Store all that a resume from this step needs; removes older checkpoints."""
        target = self._folder / str(step)
        partial = self._folder / f"{step}.partial"
        if target.exists():
            return
        for folder in (self._folder, partial):  # not their parents: who lost the lock has none
            folder.mkdir(exist_ok=True)
        self._trained.save(partial)
        note_peak(self._out)
        self._trained.gathered(None)  # every rank has written
        if self._trained.rank == 0:
            partial.rename(target)
            for path in self._folder.iterdir():
                if path != target:
                    shutil.rmtree(path)
            # To go on from here is to evaluate at this step again, and to know those before it.
            before = _before(step, self.dev_evals)
            forget_best(self._out, but=_best_steps(before, self.dev_evals))
        self._trained.gathered(None)

    def add(
        self, step: int, numbers: Mapping[str, float], rows: pa.Table, *, may_be_best: bool = True
    ) -> None:
        """Note an evaluation on `dev`; stores its weights and rows where it is the best so far.

        `score` among the numbers decides, less is better.
        """
        is_best = may_be_best and is_better(
            numbers["score"], self.dev_evals, min_delta=self._min_delta
        )
        self.dev_evals.append({"step": step, "is_best": is_best, **numbers, TIME: now()})
        # All ranks or none: under ZeRO the weights are gathered from every rank.
        weights = self._trained.trained_weights() if is_best else {}
        if self._trained.rank == 0:
            # Before the line that says so: a line without its weights would end a later run.
            if is_best:
                keep_best(self._out, step, weights, rows)
            with write_atomically(self._out / DEV_EVALS_NAME) as file:
                file.write("".join(json.dumps(line) + "\n" for line in self.dev_evals).encode())
        # Last: whoever ends the training here finds the evaluation stored.
        self._on_dev_eval(step, numbers)

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one line to the stage's metrics."""
        if self._log is not None:
            self._log.append(step, **metrics)


def forget_training(out: Path) -> None:
    """Remove what only a resume needs.

    Called after the metrics are made: where they fail, a second attempt need not train again.
    """
    for name in (BEST, CHECKPOINTS):
        shutil.rmtree(out / name, ignore_errors=True)


def _before(step: int, dev_evals: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    return [dev_eval for dev_eval in dev_evals if dev_eval["step"] < step]


def _best_steps(*several: Sequence[dict[str, float]]) -> set[int]:
    return {int(best_dev_eval(dev_evals)["step"]) for dev_evals in several if dev_evals}
