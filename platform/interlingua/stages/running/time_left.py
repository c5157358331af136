"""The time that a running graph still takes, for a console. Knows no console."""

from collections.abc import Sequence
from pathlib import Path

from interlingua.stages.running.estimates import Costs, costs_in, seconds_left, seconds_left_of
from interlingua.store.artifact import Stage, folder
from interlingua.store.partial import latest_folder


class TimeLeft:
    """Follows a graph: what is done and what runs."""

    def __init__(self, root: Path, stages: Sequence[Stage]) -> None:
        self._root = root
        self._open = {stage.key: stage for stage in stages}
        self._inputs = {stage.key: [one.key for one in stage.upstream.values()] for stage in stages}
        self._costs: Costs | None = None
        self._running: list[Stage] = []
        self._num_ticks, self._num_running = 0, 0

    def note_running(self, running: Sequence[Stage]) -> None:
        """These stages run now."""
        if self._costs is None:  # not where everything is done already
            self._costs = costs_in(self._root)
        self._running = list(running)
        if running:
            self._num_ticks += 1
            self._num_running += len(running)

    def note_done(self, stage: Stage, seconds: float | None) -> None:
        """This stage is done; `seconds` where it was built just now."""
        self._open.pop(stage.key, None)
        self._running = [one for one in self._running if one.key != stage.key]
        if seconds is not None and self._costs is not None:
            self._costs.add(stage.key, seconds)

    def of(self, stage: Stage) -> float | None:
        """The seconds until this running stage is done."""
        costs = self._costs or Costs()
        return seconds_left_of(stage.key, latest_folder(folder(stage, self._root)), costs)

    def of_all(self) -> float | None:
        """The seconds until everything is done; None where of one stage nothing is known."""
        if self._costs is None:
            return None
        running = {stage.key: self.of(stage) for stage in self._running}
        left = {
            key: running[key] if key in running else self._costs.expected(key) for key in self._open
        }
        return seconds_left(left, self._inputs, self._num_running / max(1, self._num_ticks))
