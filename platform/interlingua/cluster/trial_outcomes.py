"""What the trials of a sweep came to, from what they reported. Knows neither Ray nor a recipe."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SCORE = "dev_score"  # of an evaluation on `dev`: less is better
CAUSE, IS_FINISHED = "cause", "is_finished"  # in a trial's last report
BEHIND_ALL = 2**31  # the step of that report: no scheduler stops it any more
DEATH = "its process died (killed, out of memory, or crashed in native code)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a trial: `finished`, `stopped` by the scheduler, or `failed` with its cause."""

    name: str
    state: str
    seconds: float
    trial_id: str
    config: Mapping[str, Any]
    step: int = 0  # of the last evaluation on `dev`, whose score this is
    score: float | None = None
    cause: str | None = None


class Progress(Protocol):
    """Receives what happens to trials."""

    def on_start(self, name: str) -> None:
        """Note that a trial runs."""

    def on_score(self, name: str, numbers: Mapping[str, float]) -> None:
        """Note an evaluation on `dev`."""

    def on_end(self, outcome: Outcome) -> None:
        """Note the end of a trial."""


class Outcomes:
    """What trials came to, from what they reported."""

    def __init__(self, progress: Progress) -> None:
        self.all: list[Outcome] = []
        self._progress = progress
        self._last: dict[str, Mapping[str, Any]] = {}
        self._ends: dict[str, tuple[str, str | None]] = {}
        self._started: dict[str, float] = {}

    def start(self, trial: Any) -> None:
        """Note that a trial runs."""
        self._started[trial.trial_id] = time.monotonic()
        self._progress.on_start(_name(trial))

    def report(self, trial: Any, result: Mapping[str, Any]) -> None:
        """Note an evaluation, or how a trial says that it ended."""
        if CAUSE in result:
            self._ends[trial.trial_id] = "failed", result[CAUSE]
        elif result.get(IS_FINISHED):
            self._ends[trial.trial_id] = "finished", None
        elif SCORE in result:
            self._last[trial.trial_id] = result
            self._progress.on_score(_name(trial), result)

    def end(self, trial: Any, *, is_dead: bool) -> None:
        """Note the end of a trial; one that did not say so was stopped, or died."""
        silent = ("failed", DEATH) if is_dead else ("stopped", None)
        state, cause = self._ends.get(trial.trial_id, silent)
        last = self._last.get(trial.trial_id, {})
        outcome = Outcome(
            name=_name(trial),
            state=state,
            seconds=time.monotonic() - self._started.get(trial.trial_id, time.monotonic()),
            trial_id=trial.trial_id,
            config=dict(trial.config),
            step=int(last.get("step", 0)),
            score=last.get(SCORE),
            cause=cause,
        )
        self.all.append(outcome)
        self._progress.on_end(outcome)


def _name(trial: Any) -> str:
    """The cell of a trial; one that a searcher proposed is called by its id."""
    return str(trial.config.get("cell", trial.trial_id))
