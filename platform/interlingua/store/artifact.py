"""Stages and their artifacts: identity from literals, one folder each, a record written last.

Knows neither what a stage computes nor where it runs: the context is handed through unseen.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType
from typing import Any

from interlingua.specs.canonical import canonical_json, jsonable
from interlingua.specs.checks import check_not_negative, check_slug
from interlingua.specs.placement import Crew
from interlingua.store.atomic import naming_full_storage, settle, sync
from interlingua.store.lock import PARTIAL_SUFFIX, Lock, exclusive
from interlingua.store.peak import peak_bytes, restart_peak
from interlingua.store.provenance import Provenance, gathered_provenance
from interlingua.store.record import (
    RECORD_NAME,
    CorruptRecord,
    InputRecord,
    Record,
    read_record,
    write_record,
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished output on disk."""

    path: Path
    record: Record


# run(spec, inputs, out, context) -> metrics that JSON can hold
Run = Callable[[Any, Mapping[str, Artifact], Path, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What to compute, inert; `revision` goes up when changed code gives other results."""

    kind: str
    label: str
    spec: Any
    run: Run
    inputs: Mapping[str, "Stage"]
    revision: int
    crew: Crew | None = None  # who does its work, where it only deals it out

    def __post_init__(self) -> None:
        check_slug(self, kind=self.kind, label=self.label)
        check_not_negative(self, revision=self.revision)
        if not is_dataclass(self.spec) or isinstance(self.spec, type):
            raise ValueError(f"Stage.spec is {self.spec!r}; it must be a frozen dataclass instance")
        if not isinstance(self.run, FunctionType) or "<" in self.run.__qualname__:
            # A worker finds it again by its name.
            raise ValueError(f"Stage.run is {self.run!r}; it must be a function of a module")


def build(stage: Stage, root: Path, context: Any) -> Artifact:
    """The stage's artifact: found when it is done, else run (or continued) and published."""
    target = folder(stage, root)
    with naming_full_storage(target):
        if (done := find(stage, root)) is not None:
            return done
        inputs = _done_inputs(stage, root)
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target) as lock:
            if (done := find(stage, root)) is not None:
                return done
            if target.exists():
                raise CorruptRecord.in_folder(target, "missing, although its folder exists")
            _run_and_publish(stage, inputs, lock, context)
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
    expected = fingerprint(stage)
    if record.fingerprint != expected:
        cause = f"its fingerprint is {record.fingerprint}, the stage's is {expected}"
        raise CorruptRecord.in_folder(path, cause)
    return Artifact(path, record)


def folder(stage: Stage, root: Path) -> Path:
    """Where the stage's artifact stands once it is done."""
    return _folder(root, stage.kind, stage.label, fingerprint(stage))


def fingerprint(stage: Stage) -> str:
    """Twelve hex digits of what the stage computes; neither its code nor its place count."""
    return _fingerprint(stage, {})


def lineage(artifact: Artifact, root: Path) -> list[Artifact]:
    """All artifacts upstream of this one, each once, nearest first."""
    found: dict[str, Artifact] = {}
    open_ends = [artifact]
    while open_ends:
        for entry in open_ends.pop(0).record.inputs.values():
            if entry.fingerprint not in found:
                found[entry.fingerprint] = _recorded(entry, root)
                open_ends.append(found[entry.fingerprint])
    return list(found.values())


def _run_and_publish(
    stage: Stage, inputs: Mapping[str, Artifact], lock: Lock, context: Any
) -> None:
    target = lock.folder
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    partial.mkdir(exist_ok=True)
    # Left by a process that died between the record and the rename: the record comes last again.
    (partial / RECORD_NAME).unlink(missing_ok=True)
    # Before the run: the checkout may have moved on by its end.
    provenance = gathered_provenance()
    started = datetime.now(UTC)
    restart_peak()
    metrics = stage.run(stage.spec, inputs, partial, context)
    record = _record(stage, inputs, metrics, started=started, provenance=provenance)
    record = replace(record, peak_bytes=peak_bytes(partial))
    settle(partial)
    with lock.held():
        write_record(partial, record)
        os.rename(partial, target)
    sync(target.parent)


def _record(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    metrics: Mapping[str, Any],
    *,
    started: datetime,
    provenance: Provenance,
) -> Record:
    spec: Any = jsonable(stage.spec)
    finished = datetime.now(UTC)
    return Record(
        kind=stage.kind,
        label=stage.label,
        fingerprint=fingerprint(stage),
        revision=stage.revision,
        spec=spec,
        inputs={name: _input_record(artifact.record) for name, artifact in inputs.items()},
        seed=spec.get("seed"),
        started=started.isoformat(timespec="seconds"),
        finished=finished.isoformat(timespec="seconds"),
        seconds=(finished - started).total_seconds(),
        provenance=provenance,
        metrics=dict(metrics),
    )


def _input_record(record: Record) -> InputRecord:
    return InputRecord(kind=record.kind, label=record.label, fingerprint=record.fingerprint)


def _done_inputs(stage: Stage, root: Path) -> dict[str, Artifact]:
    done = {name: find(upstream, root) for name, upstream in stage.inputs.items()}
    missing = [str(folder(stage.inputs[name], root)) for name, found in done.items() if not found]
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


def _fingerprint(stage: Stage, known: dict[int, str]) -> str:
    # Stages of a graph share inputs: without memory the work doubles with every level.
    if id(stage) not in known:
        parts = {
            "kind": stage.kind,
            "revision": stage.revision,
            "spec": stage.spec,
            "inputs": {name: _fingerprint(up, known) for name, up in stage.inputs.items()},
        }
        known[id(stage)] = hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:12]
    return known[id(stage)]


def _folder(root: Path, kind: str, label: str, digest: str) -> Path:
    return root / kind / f"{label}-{digest}"
