"""Stages and their artifacts: identity from literals, one folder each, a record written last.

Knows neither what a stage computes nor where it runs: a context is passed on to it as it is.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType
from typing import Any

from interlingua.specs.checks import check_not_negative, check_slug
from interlingua.specs.placement import Placement, WorkKind
from interlingua.specs.text.canonical import jsonable
from interlingua.store.atomic import naming_full_storage, settle, sync
from interlingua.store.inputs import members, with_members
from interlingua.store.integrity import file_hashes, note_stamps, verify_files
from interlingua.store.lock import Lock, exclusive
from interlingua.store.partial import (
    attempts,
    claimed,
    first_attempt,
    given_up,
    note_failure,
    sweep,
)
from interlingua.store.peak import peak_bytes, restart_peak
from interlingua.store.provenance import gathered_provenance
from interlingua.store.record import (
    RECORD_NAME,
    CorruptRecord,
    InputRecord,
    Record,
    fingerprint_of,
    read_record,
    write_record,
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished output on disk."""

    path: Path
    record: Record


# run(spec, inputs, out, context) -> metrics that JSON can hold
Run = Callable[[Any, Any, Path, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A computation, inert; `revision` goes up when changed code gives other results.

    Its fingerprint is twelve hex digits of what it computes: neither its label, for people, nor
    its code, nor its place. One that `seals` first reads every byte that is upstream of it.
    Its inputs (store/inputs.py) are a tuple of stages; `run` gets the same, of their artifacts.
    """

    kind: str
    label: str
    spec: Any
    run: Run
    inputs: Any
    revision: int
    work: WorkKind | None = None  # who does its work, where it only deals it out
    device: WorkKind | None = None  # whose device its own process uses, where no workers do it
    seals: bool = False
    upstream: Mapping[str, "Stage"] = field(init=False)  # the inputs, by their paths
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        check_slug(self, kind=self.kind, label=self.label)
        check_not_negative(self, revision=self.revision)
        if not is_dataclass(self.spec) or isinstance(self.spec, type):
            raise ValueError(f"Stage.spec is {self.spec!r}; it must be a frozen dataclass instance")
        if not isinstance(self.run, FunctionType) or "<" in self.run.__qualname__:
            # A worker finds it again by its name.
            raise ValueError(f"Stage.run is {self.run!r}; it must be a function of a module")
        object.__setattr__(self, "upstream", members(self.inputs))
        made = fingerprint_of(
            kind=self.kind,
            revision=self.revision,
            spec=jsonable(self.spec),
            inputs={name: one.fingerprint for name, one in self.upstream.items()},
        )
        object.__setattr__(self, "fingerprint", made)

    @property
    def name(self) -> str:
        """The name for people; stages of several recipes may have one name."""
        return f"{self.kind}/{self.label}"

    @property
    def key(self) -> str:
        """Its folder in a root, unlike that of every other stage."""
        return f"{self.name}-{self.fingerprint}"


def build(stage: Stage, root: Path, context: Any, place: Placement | None = None) -> Artifact:
    """The stage's artifact: found when it is done, else run (or continued) and published.

    `place` is where it runs, for the record.
    """
    target = folder(stage, root)
    with naming_full_storage(target):
        if (done := find(stage, root)) is not None:
            return done
        inputs = _done_inputs(stage, root)
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target) as lock:
            # Once more: whoever held the lock while this process waited may have built it.
            if (done := find(stage, root)) is not None:
                return done
            if target.exists():
                raise CorruptRecord.in_folder(target, "missing, although its folder exists")
            _verify_inputs(stage, inputs, root)
            with _unfinished(lock) as partial:
                record = _run(stage, inputs, partial, context, place)
                _publish(record, partial, lock)
        # Read back: the first caller sees what every later caller will see.
        published = find(stage, root)
        assert published is not None, f"{target} vanished after it was published"
        return published


def find(stage: Stage, root: Path) -> Artifact | None:
    """The stage's artifact if it is done; raises CorruptRecord when the record is another's."""
    path = folder(stage, root)
    record = read_record(path)
    if record is None:
        return None
    if record.fingerprint != stage.fingerprint:
        cause = f"its fingerprint is {record.fingerprint}, the stage's is {stage.fingerprint}"
        raise CorruptRecord.in_folder(path, cause)
    return Artifact(path, record)


def verify(artifact: Artifact, *, is_thorough: bool = False) -> None:
    """Raise CorruptFile unless the artifact is as it was published (store/integrity.py)."""
    verify_files(artifact.path, artifact.record, is_thorough=is_thorough)


def folder(stage: Stage, root: Path) -> Path:
    """The path of the stage's artifact once it is done."""
    return _folder(root, stage.kind, stage.label, stage.fingerprint)


def input_folder(artifact: Artifact, name: str) -> Path:
    """The path of one of the artifacts that this one was made from."""
    entry = artifact.record.inputs[name]
    return _folder(artifact.path.parent.parent, entry.kind, entry.label, entry.fingerprint)


def lineage(artifact: Artifact, root: Path) -> list[Artifact]:
    """All artifacts upstream of this one, each once, nearest first."""
    return [member for member in with_upstream([artifact], root) if member is not artifact]


def with_upstream(artifacts: Iterable[Artifact], root: Path) -> list[Artifact]:
    """These artifacts and all that are upstream of them, each once, nearest first."""
    found: dict[str, Artifact] = {}
    open_ends = list(artifacts)
    while open_ends:
        artifact = open_ends.pop(0)
        if found.setdefault(artifact.record.fingerprint, artifact) is artifact:
            inputs = artifact.record.inputs.values()
            open_ends += [_recorded(one, root) for one in inputs if one.fingerprint not in found]
    return list(found.values())


@contextmanager
def _unfinished(lock: Lock) -> Iterator[Path]:
    """The folder to work in, left behind by whatever goes wrong in the block."""
    partial = claimed(lock)
    try:
        yield partial
    except BaseException as error:
        # Who lost the lock fails somehow, its folder being gone: that is the reason, and is said.
        lock.verify()
        if partial.is_dir():
            if isinstance(error, Exception):  # an interruption is no failure of the stage
                note_failure(partial, error)
            given_up(lock, partial)
        raise


def _run(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    partial: Path,
    context: Any,
    place: Placement | None,
) -> Record:
    # Left by a process that died between the record and the rename: the record comes last again.
    (partial / RECORD_NAME).unlink(missing_ok=True)
    # Before the run: the checkout may have moved on by its end.
    provenance = gathered_provenance()
    started = datetime.now(UTC)
    restart_peak()
    metrics = stage.run(stage.spec, with_members(stage.inputs, inputs), partial, context)
    settle(partial)
    spec, where = jsonable(stage.spec), jsonable(place)
    num_attempts, seconds = attempts(partial)
    began = first_attempt(partial)
    assert began is not None, f"{partial} notes no attempt"
    sweep(partial)
    return Record(
        kind=stage.kind,
        label=stage.label,
        fingerprint=stage.fingerprint,
        revision=stage.revision,
        spec=spec,  # type: ignore[arg-type]
        inputs={name: _input_record(artifact.record) for name, artifact in inputs.items()},
        seed=spec.get("seed"),  # type: ignore[attr-defined]
        started=_iso(started),
        finished=_iso(datetime.now(UTC)),
        seconds=seconds,
        num_attempts=num_attempts,
        provenance=provenance,
        placement=where,  # type: ignore[arg-type]
        metrics=dict(metrics),
        files=file_hashes(partial),
        peak_bytes=peak_bytes(partial),
        first_started=_iso(datetime.fromtimestamp(began, UTC)),
    )


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def _publish(record: Record, partial: Path, lock: Lock) -> None:
    """Write the record last, then give the folder its name."""
    target = lock.folder
    with lock.held():
        write_record(partial, record)
        os.rename(partial, target)
    sync(target.parent)
    # Its hashes were just taken: the first stage that uses it need not read it again.
    note_stamps(target, record)


def _verify_inputs(stage: Stage, inputs: Mapping[str, Artifact], root: Path) -> None:
    """Raise CorruptFile where an input has changed since it was published."""
    for artifact in inputs.values():
        verify(artifact)
        # Without files of its own it stands for its inputs, which are what is read.
        for entry in () if artifact.record.files else artifact.record.inputs.values():
            verify(_recorded(entry, root))
    # Damage far upstream is in no stamp of a direct input, and would be sealed as sound.
    if stage.seals:
        for artifact in with_upstream(inputs.values(), root):
            verify(artifact, is_thorough=True)


def _input_record(record: Record) -> InputRecord:
    return InputRecord(kind=record.kind, label=record.label, fingerprint=record.fingerprint)


def _done_inputs(stage: Stage, root: Path) -> dict[str, Artifact]:
    done = {name: find(upstream, root) for name, upstream in stage.upstream.items()}
    missing = [str(folder(stage.upstream[name], root)) for name, found in done.items() if not found]
    if missing:
        raise ValueError(
            f"{stage.kind}/{stage.label} needs inputs that are not built: {', '.join(missing)}"
        )
    return {name: found for name, found in done.items() if found is not None}


def _recorded(entry: InputRecord, root: Path) -> Artifact:
    path = _folder(root, entry.kind, entry.label, entry.fingerprint)
    record = read_record(path)
    if record is None:
        raise CorruptRecord.in_folder(path, "missing, although another artifact was built from it")
    return Artifact(path, record)


def _folder(root: Path, kind: str, label: str, digest: str) -> Path:
    return root / kind / f"{label}-{digest}"
