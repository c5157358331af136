"""Stages as runs that trackers hold, and what a tracker lacks of one. Knows no MLflow, no folder.

What is uploaded is a copy: the files in a stage's folder are the truth. So an upload may fail or
be cut off anywhere, and the next one adds what is missing.
"""

import hashlib
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlingua.specs.text.canonical import TYPE_KEY

# Tags by which the next upload finds a run and knows what it has.
RUN, LAST_STEP, FINISHED = "interlingua.run", "interlingua.last_step", "interlingua.finished"
SKIPPED = "interlingua.skipped"  # what is no finite number: how often, by name
MAX_NAME, MAX_TEXT = 250, 500  # what every MLflow server takes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Record of a finished stage; the times are ISO 8601 in UTC."""

    started: str
    finished: str
    metrics: Mapping[str, Any]
    tags: Mapping[str, object]  # where it comes from; None is left out
    failed_gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """One stage as trackers see it; without an outcome it is still running, or has stopped.

    `parents` names the runs that it is nested in, outermost first: a sweep, then its trial.
    """

    kind: str
    label: str
    fingerprint: str
    spec: Mapping[str, Any]
    reports: Sequence[Mapping[str, Any]]
    outcome: Outcome | None
    parents: tuple[str, ...] = ()
    has_stopped: bool = False

    def __post_init__(self) -> None:
        for name in self.parents:
            if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
                raise ValueError(
                    f"StageRun.parents has {name!r}; use letters, digits, '.', '-' and '_' only"
                )

    @property
    def name(self) -> str:
        """The identity of the run in its experiment: a stage that goes on is the same run."""
        return "/".join((*self.parents, self.kind, f"{self.label}-{self.fingerprint}"))

    @property
    def status(self) -> str:
        """State of the run, in MLflow's words."""
        if self.outcome is None:
            return "KILLED" if self.has_stopped else "RUNNING"
        return "FAILED" if self.outcome.failed_gates else "FINISHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number of a run; `recorded` is when, None for reports: they carry no clock."""

    name: str
    value: float
    step: int
    recorded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Parts of a run that a tracker does not have yet."""

    params: Mapping[str, str]
    values: Sequence[Value]
    tags: Mapping[str, str]


class TrackerDamaged(RuntimeError):
    """A tracker's own storage is damaged: to try again does not help."""


class Tracker(Protocol):
    """Holds runs by experiment."""

    def upload(self, experiment: str, runs: Sequence[StageRun]) -> None:
        """Add what is missing of these runs; raises what kept it from that."""

    def be_silent(self) -> None:
        """Print nothing from now on: nobody waits any more for what is being uploaded."""


@dataclass(slots=True)
class MemoryRun:
    """A run as a MemoryTracker holds it."""

    status: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)


class MemoryTracker:
    """Holds runs in this process; for tests."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], MemoryRun] = {}

    def upload(self, experiment: str, runs: Sequence[StageRun]) -> None:
        """Add what is missing of these runs."""
        for run in runs:
            held = self.runs.setdefault((experiment, run.name), MemoryRun(run.status))
            added = additions(run, held.tags)
            held.status = run.status
            held.params.update(added.params)
            held.values.extend(added.values)
            held.tags.update(added.tags)

    def be_silent(self) -> None:
        """Nothing to do: it never prints."""


class Uploader:
    """Keeps a tracker up to date and never stops its caller: what fails waits for `finish`."""

    def __init__(self, tracker: Tracker, experiment: str) -> None:
        self._tracker, self._experiment = tracker, experiment
        self._waiting: dict[str, StageRun] = {}
        self._has_failed = False

    def add(self, run: StageRun) -> None:
        """Upload the run as it is now, at once or with `finish`."""
        self._waiting[run.name] = run
        if not self._has_failed:
            self._upload()

    def finish(self) -> None:
        """Upload what waits, even where it failed before."""
        if self._waiting:
            self._upload()

    def be_silent(self) -> None:
        """Log no failure from now on: the process is ending."""
        self._has_failed = True
        self._tracker.be_silent()

    def _upload(self) -> None:
        try:
            self._tracker.upload(self._experiment, list(self._waiting.values()))
        except Exception as error:  # whatever it is: nothing is lost, and no stage may end by it
            if not self._has_failed:
                logger.warning("results are not tracked for now: %s", _remedy(error))
            self._has_failed = True
        else:
            self._waiting.clear()


def _remedy(error: Exception) -> str:
    """Cause of a failure, and what to do about it."""
    if isinstance(error, TrackerDamaged):
        return str(error)
    return (
        f"{_error_line(error)}; nothing is lost: once MLflow is up, and MLFLOW_TRACKING_URI right, "
        "run the same command again to upload them"
    )


def additions(run: StageRun, known: Mapping[str, str]) -> Additions:
    """Additions to a run that has these tags, which a new run has none of."""
    last = int(known.get(LAST_STEP, -1))
    reports = [report for report in run.reports if report["step"] > last]
    outcome = run.outcome
    # The newest record counts, should a stage be built twice; in UTC later times sort as text.
    is_newer = outcome is not None and outcome.finished > known.get(FINISHED, "")
    # Tags are written last: where they are, all else of that upload is there.
    if LAST_STEP in known and not reports and not is_newer:
        return Additions(params={}, values=(), tags={})
    values = [
        Value(name=name, value=value, step=report["step"], recorded=None)
        for report in reports
        for name, value in _numbers(run.kind, _reported(report))
    ]
    if outcome is not None and is_newer:
        values += [
            Value(name=name, value=value, step=0, recorded=outcome.finished)
            for name, value in _numbers(f"{run.kind}/result", outcome.metrics)
        ]
    params = {} if LAST_STEP in known else _params(run.spec)
    last = max([last, *(report["step"] for report in reports)])
    return Additions(params=params, values=values, tags=_tags(run, last))


def _tags(run: StageRun, last_step: int) -> dict[str, str]:
    tags = {
        "kind": run.kind,
        "label": run.label,
        "fingerprint": run.fingerprint,
        "seed": run.spec.get("seed"),
        "host": run.spec.get("host_tag", run.spec.get("tag")),
        SKIPPED: _skipped(run),
        LAST_STEP: last_step,
    }
    if run.outcome is not None:
        gates = ", ".join(run.outcome.failed_gates) or None
        tags |= {**run.outcome.tags, "failed_gates": gates, FINISHED: run.outcome.finished}
    return {
        name: _cut(value if isinstance(value, str) else json.dumps(value), MAX_TEXT)
        for name, value in tags.items()
        if value is not None
    }


def _skipped(run: StageRun) -> str | None:
    """Counts by name of values that are left out because they are no finite numbers."""
    found = Counter(
        name
        for prefix, metrics in (
            *((run.kind, _reported(report)) for report in run.reports),
            (f"{run.kind}/result", {} if run.outcome is None else run.outcome.metrics),
        )
        for name, value in _named(prefix, metrics)
        if not _is_number(value)
    )
    return ", ".join(f"{name}: {count}" for name, count in sorted(found.items())) or None


def _reported(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "step"}


def _numbers(prefix: str, metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    return ((name, float(value)) for name, value in _named(prefix, metrics) if _is_number(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _named(prefix: str, metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((_name(path), value) for path, value in _leaves(metrics, prefix, "/"))


def _params(spec: Mapping[str, Any]) -> dict[str, str]:
    return {
        _name(path): _cut(value if isinstance(value, str) else json.dumps(value), MAX_TEXT)
        for path, value in _leaves(spec, "", ".")
    }


def _leaves(value: Any, path: str, separator: str) -> Iterator[tuple[str, Any]]:
    """Path and value of everything that holds nothing nested; a type stands at its own path."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(i, Mapping | list) for i in value):
        items = dict(enumerate(value)).items()
    else:
        yield path, value
        return
    for key, item in items:
        below = path if path and key == TYPE_KEY else f"{path}{separator}{key}".lstrip(separator)
        yield from _leaves(item, below, separator)


def _name(path: str) -> str:
    """The path in letters that MLflow takes, without parts of dots alone, such as `..`."""
    parts = (re.sub(r"[^\w .:-]", "_", part, flags=re.ASCII) for part in path.split("/"))
    return _cut("/".join(part for part in parts if part.strip(".")), MAX_NAME)


def _cut(text: str, limit: int) -> str:
    """The text, its end replaced by a hash where it is too long."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 13]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _error_line(error: Exception) -> str:
    """The error on one short line, without the password of an address."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return _cut(re.sub(r"//[^/@\s]+@", "//", line), 300)
