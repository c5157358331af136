"""Everything in this process, without Ray: for tests, and for machines that have no cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from interlingua.specs.placement import Placement, Single, ThreeGroups, TrainingPlacement, Workers
from interlingua.stages.running.context import (
    Context,
    Ended,
    OnDevEval,
    Play,
    Pool,
    Trainer,
    Watcher,
    Worker,
    ignore_dev_eval,
)
from interlingua.store.artifact import Stage, build, find


def local_context(
    placement: Placement, pool: Pool | None = None, trainer: Trainer | None = None
) -> Context:
    """A context whose stages need no cluster, but for what is given."""
    return Context(placement, pool or LocalPool(), trainer or LocalTrainer(), LocalReinforcer())


class LocalPool:
    """One worker, in this process."""

    def map(
        self, worker: Worker, job: Any, items: Iterable[Any], workers: Workers | None
    ) -> Iterator[Any]:
        """The results of all items, one after the other; no item, no worker."""
        made = None
        for item in items:
            made = made or worker(job)
            yield made(item)


class LocalTrainer:
    """Plain torch, in this process."""

    def __init__(self, on_dev_eval: OnDevEval = ignore_dev_eval) -> None:
        self._on_dev_eval = on_dev_eval

    def fit(self, make: Callable[[Any], Any], job: Any, place: TrainingPlacement) -> None:
        """Train on one rank, whatever the placement says."""
        import torch

        from interlingua.stages.sft.engine import TorchEngine
        from interlingua.stages.sft.loop import train

        torch.set_num_threads(job.threads)
        program = make(job)
        engine = TorchEngine(program.module, program.groups(), program.optim, job.device)
        train(program, engine, job, self._on_dev_eval)


class LocalReinforcer:
    """All roles by plain torch, in this process."""

    def __init__(self, on_dev_eval: OnDevEval = ignore_dev_eval) -> None:
        self._on_dev_eval = on_dev_eval

    def play(self, play: Play, job: Any, place: Single | ThreeGroups) -> Ended:
        """The loop with local roles, whatever the placement says."""
        from interlingua.stages.rl.local_roles import local_roles

        return play(job, local_roles(job), self._on_dev_eval)


class LocalBackend:
    """One stage after the other in this process, in the given order: inputs first."""

    def build_all(
        self, stages: Sequence[Stage], root: Path, context: Context, watcher: Watcher
    ) -> None:
        """Build every stage; the first failure ends it."""
        for stage in stages:
            if find(stage, root) is None:
                watcher.on_tick([stage])
            watcher.on_done(stage, build(stage, root, context, context.placement))
