"""One writer per artifact: a lock file with an owner and a heartbeat. Knows no stage.

A lock is stale when its owner's process is gone or its heartbeat is old; whoever comes next takes
it over with a warning. Lock files change only under an flock, so that two takers cannot both win.
"""

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from interlingua.store.atomic import write_atomically
from interlingua.store.process import ProcessIdentity, is_gone, this_process

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
POLL_SECONDS = 0.5
REMINDER_SECONDS = 30.0

PARTIAL_SUFFIX = ".partial"

logger = logging.getLogger(__name__)


class ArtifactLocked(RuntimeError):
    """An artifact has a lock file that cannot be read, so nobody can tell whose it is."""


class LockLost(RuntimeError):
    """The lock belongs to somebody else by now; what was about to be published must not be."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The exclusive right to write one artifact, proven by a token that workers may carry."""

    folder: Path
    token: str

    def verify(self) -> None:
        """Raise LockLost unless the lock file still holds this lock's token."""
        verify_token(self.folder, self.token)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Verify, then let nobody take the lock over until the block ends: for the last rename."""
        with _guard(self.folder):
            self.verify()
            yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a lock, as its file says."""

    token: str
    since: str
    process: ProcessIdentity

    def __str__(self) -> str:
        return f"pid {self.process.pid} on {self.process.hostname} (since {self.since})"


@contextmanager
def exclusive(folder: Path) -> Iterator[Lock]:
    """Hold the artifact's lock for the block: waits, with a voice, until it is free or stale."""
    lock = _acquired(folder)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(lock, stop), daemon=True, name="lock-heartbeat")
    heart.start()
    try:
        yield lock
    finally:
        stop.set()
        heart.join()
        _release(lock)


def verify_token(folder: Path, token: str) -> None:
    """Raise LockLost unless the lock of the artifact (or of its partial folder) holds the token."""
    holding = _holding(folder)
    if holding is None or holding.owner.token != token:
        taker = "nobody" if holding is None else str(holding.owner)
        raise LockLost(
            f"the lock of {folder} is now held by {taker}: this process was taken for dead (no "
            f"heartbeat for {STALE_SECONDS:.0f} s) or the lock file was removed; it must stop here"
        )


def held_token(folder: Path) -> str:
    """The token with which this process holds the artifact's lock, to be handed to its workers."""
    holding = _holding(folder)
    if holding is None or holding.owner.process != this_process():
        taker = "nobody" if holding is None else str(holding.owner)
        raise LockLost(f"this process does not hold the lock of {folder}; {taker} does")
    return holding.owner.token


@dataclass(frozen=True, slots=True)
class _Holding:
    owner: Owner
    heartbeat: float

    def stale_because(self, now: float) -> str | None:
        if is_gone(self.owner.process):
            return "its process is gone"
        age = now - self.heartbeat
        return f"its last heartbeat is {age:.0f} s old" if age > STALE_SECONDS else None


def _acquired(folder: Path) -> Lock:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    me = Owner(token=uuid4().hex, since=since, process=this_process())
    told = float("-inf")
    while (holder := _take(folder, me)) is not None:
        if time.monotonic() - told >= REMINDER_SECONDS:
            logger.warning("waiting for %s: %s is building it", folder, holder)
            told = time.monotonic()
        time.sleep(POLL_SECONDS)
    return Lock(folder, me.token)


def _take(folder: Path, me: Owner) -> Owner | None:
    """Make the lock ours and return None, or return the one who rightfully holds it."""
    with _guard(folder) as now:
        holding = _holding(folder)
        if holding is not None:
            reason = holding.stale_because(now)
            if reason is None:
                return holding.owner
            logger.warning("taking over %s from %s: %s", folder, holding.owner, reason)
        with write_atomically(_lock_path(folder)) as file:
            file.write(json.dumps(asdict(me), indent=2).encode())
    return None


def _release(lock: Lock) -> None:
    with _guard(lock.folder):
        holding = _holding(lock.folder)
        if holding is not None and holding.owner.token == lock.token:
            _lock_path(lock.folder).unlink()


def _beat(lock: Lock, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            lock.verify()
            os.utime(_lock_path(lock.folder))
        except LockLost as error:
            logger.warning("%s", error)
            return
        except OSError:
            # A network file system that stutters once must not silence the heart for good.
            logger.warning("no heartbeat for %s this time", lock.folder, exc_info=True)


def _holding(folder: Path) -> _Holding | None:
    path = _lock_path(folder)
    try:
        # The time is asked of the open file: network file systems refresh it when a file is opened.
        with path.open() as file:
            text, heartbeat = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        entries = json.loads(text)
        process = ProcessIdentity(**entries.pop("process"))
        return _Holding(Owner(**entries, process=process), heartbeat)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactLocked(
            f"the lock file {path} is unreadable ({error!r}); make sure that nobody builds "
            f"{folder}, delete the lock file and run again"
        ) from error


@contextmanager
def _guard(folder: Path) -> Iterator[float]:
    """Be alone with the lock files of this kind; yields the file system's own time."""
    # These files stay: removing a file that others may flock lets two of them in at once.
    path = folder.parent.parent / ".locks" / folder.parent.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Heartbeats are stamped by the file system too: clocks of two machines may differ.
        os.utime(path)
        yield os.fstat(file.fileno()).st_mtime


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name.removesuffix(PARTIAL_SUFFIX) + ".lock")
