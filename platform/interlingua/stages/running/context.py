"""The context that a stage runs with, and the protocols of what runs the stages of a graph.

Knows no Ray: `interlingua.cluster` has the backend that does.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from interlingua.specs.placement import (
    Placement,
    Single,
    ThreeGroups,
    TrainingPlacement,
    Workers,
)
from interlingua.store.artifact import Artifact, Stage

# Made once in each process from the stage's job, where it opens its model; then called with one
# item after the other.
Worker = Callable[[Any], Callable[[Any], Any]]


class Pool(Protocol):
    """Workers that share the items of one stage among them."""

    def map(
        self, worker: Worker, job: Any, items: Iterable[Any], workers: Workers | None
    ) -> Iterator[Any]:
        """Yield the results of all items, in the order in which they are finished.

        `worker(job)` is called once in every process and gives the function of an item.
        """


# Called in every rank with the step of an evaluation on `dev` and its numbers; of `score` among
# them less is better. What it raises ends the training, which may go on from its last checkpoint.
OnDevEval = Callable[[int, Mapping[str, float]], None]


def ignore_dev_eval(step: int, numbers: Mapping[str, float]) -> None:
    """Nobody waits for the evaluations of this training."""


class Trainer(Protocol):
    """Runs a training loop, on one rank or many."""

    def fit(self, make: Callable[[Any], Any], job: Any, place: TrainingPlacement) -> None:
        """Train what `make(job)` gives to its end, from its last checkpoint.

        `job` is a TrainingJob and what it is made into a Program (`stages/sft/loop.py`).
        """


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run of reinforcement learning: what stopped it early, and what it counted."""

    stopped_by: str | None
    counts: dict[str, int]


# The loop, given a job, roles, and what is told of evaluations; called in every rank that runs it.
Play = Callable[[Any, Any, OnDevEval], Ended]


class Reinforcer(Protocol):
    """Runs the loop of reinforcement learning with its roles, in one place or several."""

    def play(self, play: Play, job: Any, place: Single | ThreeGroups) -> Ended:
        """Run the loop to its end, from its last checkpoint.

        `job` is an RlJob (`stages/rl/job.py`), the roles are those of `stages/rl/roles.py`.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """The place where a stage runs; never hashed."""

    placement: Placement
    pool: Pool
    trainer: Trainer
    reinforcer: Reinforcer


class StagesFailed(RuntimeError):
    """Some stages failed; every one that does not need them was built."""

    def __init__(self, causes: Mapping[str, BaseException], skipped: Sequence[str]) -> None:
        self.causes = causes
        # One line for each, whatever libraries have to say.
        lines = [
            f"{name} failed: {type(cause).__name__}: {' '.join(str(cause).split())}"
            for name, cause in causes.items()
        ]
        if skipped:
            lines.append(f"not started, for want of these: {', '.join(skipped)}")
        super().__init__("\n".join(lines))


class Watcher(Protocol):
    """Receives the progress of a graph."""

    def on_preflight(self, lines: Sequence[str]) -> None:
        """Show the table of what the remaining stages take of the cluster."""

    def on_done(self, stage: Stage, artifact: Artifact) -> None:
        """Note that a stage is done, in this run or an earlier one."""

    def on_tick(self, running: Sequence[Stage]) -> None:
        """Note that these stages are running; called again and again."""


class Backend(Protocol):
    """Builds stages in an order that their inputs allow."""

    def build_all(
        self, stages: Sequence[Stage], root: Path, context: Context, watcher: Watcher
    ) -> None:
        """Build every stage, or raise what stopped it."""


def names_of(stages: Sequence[Stage]) -> dict[str, str]:
    """Display names of the stages of a graph, by key.

    Stages of several recipes in one graph may share a name: those get their fingerprint added.
    """
    times = Counter(stage.name for stage in stages)
    return {stage.key: stage.name if times[stage.name] == 1 else stage.key for stage in stages}
