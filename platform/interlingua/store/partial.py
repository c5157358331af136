"""The folder of an unfinished artifact: its name holds the token of the lock's owner.

Whoever takes a lock over renames the folder, so that nothing of the owner before (a frozen process
that wakes, a worker that outlived its driver) finds it any more: what they write by path fails.
Knows no stage.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from interlingua.store.atomic import write_atomically
from interlingua.store.lock import Lock

PARTIAL_SUFFIX = ".partial"
ATTEMPTS_NAME = ".attempts.json"
FAILURE_NAME = ".failure.json"
MOST_LETTERS = 500  # of an error: the terminal and the logs have all of it


class Failure(NamedTuple):
    """The error that ended the last attempt."""

    time: float
    error: str


def claimed(lock: Lock) -> Path:
    """The folder of the lock's owner: made, or taken over with what was finished before."""
    own = _named(lock.folder, lock.token)
    # That of the owner whose lock was taken; else the one that was given up; else, where a taker
    # died before it could rename, whichever is there.
    wanted = [_named(lock.folder, lock.taken_from), _named(lock.folder, None)]
    found = [path for path in wanted if path.is_dir()] or partial_folders(lock.folder)
    # Held: the rename must not take the folder away from somebody who took the lock meanwhile.
    with lock.held():
        if found:
            _close_attempts(found[0])
            found[0].rename(own)
        else:
            own.mkdir()
    (own / FAILURE_NAME).unlink(missing_ok=True)  # it is being tried again
    for crumb in partial_folders(lock.folder):
        if crumb != own:  # made by a stale owner after its folder was gone
            shutil.rmtree(crumb)
    for path in list(own.rglob(f"*{PARTIAL_SUFFIX}")):
        shutil.rmtree(path)  # half of something: the owner before may still write into its files
    _write_attempts(own, [*_read_attempts(own), (time.time(), None)])
    return own


def given_up(lock: Lock, own: Path) -> None:
    """Leave an unfinished folder to whoever comes next."""
    own.rename(_named(lock.folder, None))


def note_failure(own: Path, error: Exception) -> None:
    """Leave the error for whoever asks later what became of this stage."""
    words = " ".join(str(error).split())[:MOST_LETTERS]
    # On a full disk there is no place for it; the error itself goes on to the driver.
    with suppress(OSError), write_atomically(own / FAILURE_NAME) as file:
        file.write(json.dumps([time.time(), f"{type(error).__name__}: {words}"]).encode())


def last_failure(folder: Path) -> Failure | None:
    """The error that ended the last attempt in an unfinished folder; None where none is noted."""
    path = folder / FAILURE_NAME
    return Failure(*json.loads(path.read_bytes())) if path.exists() else None


def attempts(own: Path) -> tuple[int, float]:
    """The number of attempts so far, and their seconds together."""
    read = _read_attempts(own)
    return len(read), sum((time.time() if end is None else end) - start for start, end in read)


def first_attempt(own: Path) -> float | None:
    """The time at which the first attempt began; None before it."""
    return min((start for start, _ in _read_attempts(own)), default=None)


def sweep(own: Path) -> None:
    """Remove what only an unfinished folder has."""
    (own / ATTEMPTS_NAME).unlink(missing_ok=True)


def partial_folders(target: Path) -> list[Path]:
    """The folders of an unfinished artifact, newest first; several only in a takeover."""
    found = [path for path in target.parent.glob(f"{target.name}.*partial") if path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def latest_folder(target: Path) -> Path:
    """The folder that an unfinished artifact reports in; it need not exist."""
    return next(iter(partial_folders(target)), _named(target, None))


def target_of(partial: Path) -> Path:
    """The path of the folder once it is done: the same for every owner."""
    return partial.with_name(partial.name.partition(".")[0])


def _close_attempts(folder: Path) -> None:
    """Note the end of an attempt that was killed: its last sign of life, the newest file."""
    newest = max((path.lstat().st_mtime for path in folder.rglob("*")), default=0.0)
    closed = [(start, max(start, newest) if end is None else end) for start, end in
              _read_attempts(folder)]  # fmt: skip
    _write_attempts(folder, closed)


def _read_attempts(folder: Path) -> list[tuple[float, float | None]]:
    path = folder / ATTEMPTS_NAME
    return [tuple(one) for one in json.loads(path.read_bytes())] if path.exists() else []


def _write_attempts(folder: Path, attempts: Sequence[tuple[float, float | None]]) -> None:
    with write_atomically(folder / ATTEMPTS_NAME) as file:
        file.write(json.dumps(attempts).encode())


def _named(target: Path, token: str | None) -> Path:
    middle = "" if token is None else f".{token[:8]}"
    return target.with_name(f"{target.name}{middle}{PARTIAL_SUFFIX}")
