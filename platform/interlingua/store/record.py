"""The record of an artifact: what it is, what it came from, what it measured. Knows no stage.

A record proves itself: it holds a hash of its own content, its fingerprint is made again from what
it says it computed, and it has the hash of every file that was published beside it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interlingua.store.atomic import write_atomically
from interlingua.store.provenance import Provenance

RECORD_NAME = "artifact.json"
DIGEST_KEY = "sha256"


class CorruptRecord(RuntimeError):
    """An artifact's folder does not hold the record that it should."""

    @classmethod
    def in_folder(cls, folder: Path, cause: str) -> "CorruptRecord":
        """The error for one folder, with its remedy."""
        return cls(f"{folder / RECORD_NAME}: {cause}; delete the folder {folder} and run again")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecord:
    """The artifact that an input was."""

    kind: str
    label: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything an artifact says about itself; `seconds` are those of all its attempts.

    `started` is when the last attempt did, `first_started` when the first did.
    `peak_bytes` is the memory of the largest process that worked on it, `placement` where they ran.
    `files` are the hashes of its files by path: relative to its folder, absolute where a file that
    belongs to it lies elsewhere.
    """

    kind: str
    label: str
    fingerprint: str
    revision: int
    spec: Mapping[str, Any]
    inputs: Mapping[str, InputRecord]
    seed: int | None
    started: str
    finished: str
    seconds: float
    num_attempts: int
    provenance: Provenance
    placement: Mapping[str, Any] | None
    metrics: Mapping[str, Any]
    files: Mapping[str, str]
    peak_bytes: int | None = None
    first_started: str | None = None


def fingerprint_of(*, kind: str, revision: int, spec: object, inputs: Mapping[str, str]) -> str:
    """Twelve hex digits of what is computed from which inputs; `spec` as JSON holds it.

    The label is not in it: it is for people.
    """
    parts = {"kind": kind, "revision": revision, "spec": spec, "inputs": dict(inputs)}
    return _sha256(parts)[:12]


def write_record(folder: Path, record: Record) -> None:
    """Store the record in the folder, whole or not at all."""
    entries = asdict(record)
    text = json.dumps({**entries, DIGEST_KEY: _sha256(entries)}, indent=2)
    with write_atomically(folder / RECORD_NAME) as file:
        file.write(text.encode())


def read_record(folder: Path) -> Record | None:
    """The record in the folder, None without one; raises CorruptRecord where it is another's."""
    try:
        content = (folder / RECORD_NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        entries = json.loads(content)
        stated = entries.pop(DIGEST_KEY, None)
        if stated is None:
            raise ValueError("without a hash of itself; an earlier version wrote it")
        found = _sha256(entries)  # before they are parsed, which takes entries out
        record = _parsed(entries)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptRecord.in_folder(folder, f"unreadable ({error!r})") from error
    if stated != found:
        raise CorruptRecord.in_folder(folder, "it is not as it was written (its hash differs)")
    _check_fingerprint(folder, record)
    return record


def _check_fingerprint(folder: Path, record: Record) -> None:
    # The hash of itself shows damage; only this shows a spec that was edited and hashed anew.
    expected = fingerprint_of(
        kind=record.kind,
        revision=record.revision,
        spec=record.spec,
        inputs={name: entry.fingerprint for name, entry in record.inputs.items()},
    )
    if record.fingerprint != expected:
        cause = f"its fingerprint is {record.fingerprint}, but what it says it computed {expected}"
        raise CorruptRecord.in_folder(folder, cause)


def _parsed(entries: dict[str, Any]) -> Record:
    inputs = {name: InputRecord(**entry) for name, entry in entries.pop("inputs").items()}
    provenance = entries.pop("provenance")
    # JSON has no tuples: with a list two equal records would compare as different.
    argv = tuple(provenance.pop("argv"))
    return Record(**entries, inputs=inputs, provenance=Provenance(**provenance, argv=argv))


def _sha256(entries: Mapping[str, Any]) -> str:
    # As specs/text/canonical.py: a fingerprint is the same from a spec and from its record.
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
