"""The lines of one log of requests: written whole, read as far as they are whole, checked each.

A line is JSON and ends with a digest of what stands before it. Knows neither prompts nor budgets.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

CHECK = b', "check": "'
CHECK_DIGITS = 8


class DamagedLog(ValueError):
    """A line of a log is not what was written."""


class Place(NamedTuple):
    """Where a line stands."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what happened to which row."""

    event: str
    key: str
    values: dict[str, Any]
    place: Place


def encoded(event: str, key: str, values: dict[str, Any]) -> bytes:
    """One line, with its end: a reader leaves out one that has none, as a kill may leave it."""
    body = json.dumps({"event": event, "key": key, **values}).encode()[:-1]
    return body + CHECK + _digest(body) + b'"}\n'


class LogReader:
    """One log, read on from where it was left; `number` is the last line that was read."""

    def __init__(self, path: Path) -> None:
        self.path, self.number, self._offset = path, 0, 0

    def new_lines(self) -> Iterator[Line]:
        """The whole lines that were added."""
        if self.path.stat().st_size == self._offset:
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for written in file:
                if not written.endswith(b"\n"):
                    return
                self.number += 1
                place = Place(self.path, self._offset, len(written))
                self._offset += len(written)
                yield _decoded(written, place, self.number)


def line_at(place: Place) -> Line:
    """The line that stands there."""
    with place.path.open("rb") as file:
        file.seek(place.offset)
        return _decoded(file.read(place.length), place, None)


def is_live(path: Path) -> bool:
    """Whether the process that writes this log lives: it holds a lock on it till its end."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _decoded(written: bytes, place: Place, number: int | None) -> Line:
    body, found, check = written.rpartition(CHECK)
    where = f"{place.path}:{number or f'byte {place.offset}'}"
    if not found or check != _digest(body) + b'"}\n':
        raise DamagedLog(
            f"{where}: the line is damaged: it does not agree with its check; put the file back "
            "as it was, or delete the line, whose row is then asked and paid again"
        )
    values = json.loads(body + b"}")
    return Line(values.pop("event"), values.pop("key"), values, place)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:CHECK_DIGITS].encode()
