"""What holds runs: the protocol, and a tracker in memory. Knows no MLflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from interlingua.tracking.runs import (
    Model,
    Run,
    Value,
    additions,
    parent_of,
)


class TrackerDamaged(RuntimeError):
    """A tracker's own storage is damaged: to try again does not help."""


class Tracker(Protocol):
    """Holds runs by experiment."""

    def upload(self, experiment: str, runs: Sequence[Run]) -> None:
        """Add what is missing of these runs; raises what kept it from that."""

    def system_metrics(self) -> Mapping[str, float]:
        """What this machine is busy with, by MLflow's names; nothing where it is not known."""

    def be_silent(self) -> None:
        """Print nothing from now on: nobody waits any more for what is being uploaded."""


@dataclass(slots=True)
class MemoryRun:
    """A run as a MemoryTracker holds it."""

    title: str
    status: str = "RUNNING"
    parent: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


class MemoryTracker:
    """Holds runs in this process; for tests."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], MemoryRun] = {}
        self.models: dict[str, dict[str, Model]] = {}

    def upload(self, experiment: str, runs: Sequence[Run]) -> None:
        """Add what is missing of these runs."""
        for run in runs:
            for number, parent in enumerate(run.parents):
                above = run.parents[number - 1].name if number else None
                self.runs.setdefault(
                    (experiment, parent.name), MemoryRun(parent.title, parent=above)
                )
            held = self.runs.setdefault((experiment, run.name), MemoryRun(run.title))
            held.parent = parent_of(held.parent, [parent.name for parent in run.parents])
            added = additions(run, held.tags)
            held.title, held.status = run.title, run.status
            held.params.update(added.params)
            held.values.extend(added.values)
            held.files.update({file.path: file.content() for file in added.files})
            for model in (*added.models, *added.judged):
                self.models.setdefault(model.name, {})[model.fingerprint] = model
            held.tags.update(added.tags)

    def system_metrics(self) -> Mapping[str, float]:
        """A machine at rest."""
        return {"cpu_utilization_percentage": 0.0}

    def be_silent(self) -> None:
        """Nothing to do: it never prints."""
