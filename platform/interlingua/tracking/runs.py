"""Runs that trackers hold, and what a tracker lacks of one. Knows no MLflow, no stage, no folder.

What is uploaded is a copy: the files in the run root are the truth. So an upload may fail or be
cut off anywhere, and the next one adds what is missing.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from interlingua.tracking.names import MAX_TEXT, digest_of, leaves, name_of, text_of

# Tags by which the next upload finds a run and knows what it has.
RUN, UPLOADED = "interlingua.run", "interlingua.uploaded"
NOT_FINITE = "interlingua.not_finite"  # numbers that are left out: how often, by name
NOTE, TABLES = "mlflow.note.content", "mlflow.loggedArtifacts"
MAX_NOTE = 5000
RUNNING = "RUNNING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Numbers that were measured together: at which step, and when, in seconds since 1970."""

    step: int
    time: float
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A run that others are nested in: its identity, and what people read."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a run, made when it is uploaded; `digest` says of what it is made."""

    path: str
    digest: str
    content: Callable[[], bytes]
    is_table: bool = False  # in the format of MLflow's tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version of a registered model: where it lies, and its manifest."""

    name: str
    fingerprint: str
    folder: Path
    manifest: str  # path of the run's file that describes it
    tags: Mapping[str, str]
    description: str

    @property
    def digest(self) -> str:
        """Digest of what is said about it."""
        return digest_of(json.dumps(dict(self.tags), sort_keys=True).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stage, a run of a recipe or a sweep, as trackers see it; times in seconds since 1970.

    `name` is its identity in the experiment, `title` for people; `parents` are the runs that it is
    nested in, outermost first. `series` are measurements by name of the curve, `results` those of
    the whole run, from `measured` on.
    """

    name: str
    title: str
    status: str  # MLflow's word
    started: float
    ended: float | None
    parents: tuple[Parent, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Sequence[Report]] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    measured: float | None = None
    tags: Mapping[str, object] = field(default_factory=dict)  # None is left out
    note: str | None = None
    about: str | None = None  # the note of its experiment, as long as no other run says another
    files: tuple[File, ...] = ()
    models: tuple[Model, ...] = ()  # the newest last

    @property
    def version(self) -> str:
        """Digest of all but its curves and times: what is uploaded again when it changes."""
        parts = [
            self.status,
            self.title,
            dict(leaves(self.results, "/")),
            dict(self.tags),
            self.note,
            *([self.about] if self.about else ()),
            self.digests,
            self.model_digests,
        ]
        return digest_of(json.dumps(parts, sort_keys=True).encode())

    @property
    def digests(self) -> dict[str, str]:
        """What its files are made of, by their paths."""
        return {file.path: file.digest for file in self.files}

    @property
    def model_digests(self) -> dict[str, str]:
        """What is said about its models, by their fingerprints."""
        return {model.fingerprint: model.digest for model in self.models}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number of a run, and when it was measured, in seconds since 1970."""

    name: str
    value: float
    step: int
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Parts of a run that a tracker does not have yet."""

    params: Mapping[str, str]
    values: Sequence[Value]
    files: Sequence[File]
    models: Sequence[Model]  # to be registered
    judged: Sequence[Model]  # that were, and of which something else is to be said
    tags: Mapping[str, str]  # written last: where they are, all else is there

    @property
    def is_empty(self) -> bool:
        """True where the tracker has all of it."""
        return not self.tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What a tracker has of a run, as its own tag says."""

    version: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)  # digests by path
    measured: float | None = None
    last_steps: Mapping[str, int] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)  # digests by fingerprint

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Uploaded":
        """The entries of the tag; of a new run there are none."""
        return cls(**json.loads(tags.get(UPLOADED, "{}")))

    def as_text(self) -> str:
        """The tag's text."""
        return json.dumps(asdict(self))


NOTHING = Additions(params={}, values=(), files=(), models=(), judged=(), tags={})


def additions(run: Run, tags: Mapping[str, str]) -> Additions:
    """Additions to a run that has these tags, which a new run has none of."""
    known = Uploaded.of(tags)
    reports = {
        name: [report for report in series if report.step > known.last_steps.get(name, -1)]
        for name, series in run.series.items()
    }
    is_news = run.version != known.version
    if not is_news and not any(reports.values()):
        return NOTHING
    last_steps = {name: new[-1].step for name, new in reports.items() if new}
    known_steps = replace(known, last_steps=dict(known.last_steps) | last_steps)
    values = list(_of_series(reports))
    params = params_of(run.params) if known.version is None else {}
    # The newest counts, should the same thing be made twice.
    if not is_news or (run.measured or 0.0) < (known.measured or 0.0):
        return replace(NOTHING, values=values, tags={UPLOADED: known_steps.as_text()})
    if run.measured is not None:
        values += _of_results(run.results, run.measured)
    uploaded = replace(
        known_steps,
        version=run.version,
        files=dict(known.files) | run.digests,
        measured=run.measured,
        registered=dict(known.registered) | run.model_digests,
    )
    return Additions(
        params=params,
        values=values,
        files=[file for file in run.files if known.files.get(file.path) != file.digest],
        models=[model for model in run.models if model.fingerprint not in known.registered],
        judged=[
            model
            for model in run.models
            if known.registered.get(model.fingerprint, model.digest) != model.digest
        ],
        tags=_tags(run) | {UPLOADED: uploaded.as_text()},
    )


def params_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as trackers hold them."""
    return {name_of(path): text_of(value) for path, value in leaves(params, ".")}


def parent_of(held: str | None, above: Sequence[str]) -> str | None:
    """The run that a run is nested in, which has that parent now.

    What two cells of a sweep share belongs to neither of them: it moves up to the sweep.
    """
    if not above or held in above:
        return held
    return above[-1] if held is None else above[0]


def _tags(run: Run) -> dict[str, str]:
    tables = [{"path": file.path, "type": "table"} for file in run.files if file.is_table]
    tags = {
        **run.tags,
        NOT_FINITE: _not_finite(run),
        TABLES: json.dumps(tables) if tables else None,
        NOTE: run.note,
    }
    return {
        name_of(name): text_of(value, MAX_NOTE if name in (NOTE, TABLES) else MAX_TEXT)
        for name, value in tags.items()
        if value is not None
    }


def _of_series(series: Mapping[str, Sequence[Report]]) -> Iterator[Value]:
    for prefix, reports in series.items():
        for report in reports:
            for name, value in numbers(report.values, prefix):
                yield Value(name=name, value=value, step=report.step, time=report.time)


def _of_results(results: Mapping[str, Any], measured: float) -> list[Value]:
    return [
        Value(name=name, value=value, step=0, time=measured) for name, value in numbers(results)
    ]


def numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Name and value of every finite number."""
    for path, value in leaves(values, "/", prefix):
        if isinstance(value, int | float) and math.isfinite(value):
            yield name_of(path), float(value)


def _not_finite(run: Run) -> str | None:
    """Counts by name of numbers that are left out because they are not finite."""
    found = Counter(
        name_of(path)
        for prefix, values in (
            *((name, r.values) for name, series in run.series.items() for r in series),
            ("", run.results),
        )
        for path, value in leaves(values, "/", prefix)
        if isinstance(value, float) and not math.isfinite(value)
    )
    return ", ".join(f"{name}: {count}" for name, count in sorted(found.items())) or None
