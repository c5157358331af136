"""The record of an artifact: what it is, what it came from, what it measured. Knows no stage."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from interlingua.store.atomic import write_atomically
from interlingua.store.provenance import Provenance

RECORD_NAME = "artifact.json"


class CorruptRecord(RuntimeError):
    """An artifact's folder does not hold the record that it should."""

    @classmethod
    def in_folder(cls, folder: Path, cause: str) -> "CorruptRecord":
        """The error for one folder, with its remedy."""
        return cls(f"{folder / RECORD_NAME}: {cause}; delete the folder {folder} and run again")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecord:
    """Which artifact an input was."""

    kind: str
    label: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything an artifact says about itself; `seconds` are those of the last attempt.

    `peak_bytes` is the memory of the largest process that worked on it.
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
    provenance: Provenance
    metrics: Mapping[str, Any]
    peak_bytes: int | None = None


def write_record(folder: Path, record: Record) -> None:
    """Store the record in the folder, whole or not at all."""
    text = json.dumps(asdict(record), indent=2)
    with write_atomically(folder / RECORD_NAME) as file:
        file.write(text.encode())


def read_record(folder: Path) -> Record | None:
    """The record in the folder, None without one; raises CorruptRecord when it makes no sense."""
    try:
        content = (folder / RECORD_NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parsed(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptRecord.in_folder(folder, f"unreadable ({error!r})") from error


def _parsed(entries: dict[str, Any]) -> Record:
    inputs = {name: InputRecord(**entry) for name, entry in entries.pop("inputs").items()}
    provenance = entries.pop("provenance")
    argv = tuple(provenance.pop("argv"))
    return Record(**entries, inputs=inputs, provenance=Provenance(**provenance, argv=argv))
