"""One writer per artifact: a lock file with an owner and a heartbeat. Knows no stage.

A lock is stale when its owner's process is gone or its heartbeat is old, or stands still; whoever
comes next takes it over with a warning. Lock files change only under an flock, so that two takers
cannot both win.
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

from interlingua.store.atomic import TMP_SUFFIX, write_atomically
from interlingua.store.process import ProcessIdentity, is_gone, this_process

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
POLL_SECONDS = 0.5
REMINDER_SECONDS = 30.0

logger = logging.getLogger(__name__)


class ArtifactLocked(RuntimeError):
    """An artifact has a lock file that cannot be read, so nobody can tell whose it is."""


class LockLost(RuntimeError):
    """The lock belongs to somebody else by now; what was about to be published must not be."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The exclusive right to write one artifact; `taken_from` is the token of a stale owner."""

    folder: Path
    token: str
    taken_from: str | None = None

    def verify(self) -> None:
        """Raise LockLost unless the lock file still holds this lock's token."""
        holding = _holding(self.folder)
        if holding is None or holding.owner.token != self.token:
            taker = "nobody" if holding is None else str(holding.owner)
            raise LockLost(
                f"the lock of {self.folder} is now held by {taker}: this process was taken for "
                f"dead (no heartbeat for {STALE_SECONDS:.0f} s), or somebody removed the lock "
                "file or the whole run root; it must stop here"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Verify, then let nobody take the lock over until the block ends: for the last rename."""
        with _guard(self.folder):
            self.verify()
            yield


def is_locked(folder: Path) -> bool:
    """True while somebody works on the artifact, as far as a heartbeat tells."""
    try:
        return time.time() - _lock_path(folder).stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The holder of a lock, as its file says."""

    token: str
    since: str
    process: ProcessIdentity

    def __str__(self) -> str:
        return f"pid {self.process.pid} on {self.process.hostname} (since {self.since})"


@dataclass(frozen=True, slots=True)
class Holder:
    """The owner that a lock file names; `gone_because` says how it is known to be dead."""

    owner: Owner
    gone_because: str | None


def holder_of(folder: Path) -> Holder | None:
    """The owner of the artifact's lock, for people; None where nobody has it."""
    holding = _holding(folder)
    if holding is None:
        return None
    return Holder(holding.owner, holding.stale_because(time.time(), 0.0))


@contextmanager
def exclusive(folder: Path) -> Iterator[Lock]:
    """Hold the artifact's lock for the block; waits, with warnings, until it is free or stale."""
    lock = _acquired(folder)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(lock, stop), daemon=True, name="lock-heartbeat")
    heart.start()
    try:
        yield lock
    finally:
        stop.set()
        # Before the release: a beat behind it would report the lock as lost.
        heart.join()
        _release(lock)


@dataclass(frozen=True, slots=True)
class _Holding:
    owner: Owner
    heartbeat: float

    def stale_because(self, now: float, seconds_still: float) -> str | None:
        if is_gone(self.owner.process):
            return "its process is gone"
        # A heartbeat may lie in the future, where the clock of the disk was set back: then only
        # that it stands still can tell.
        if (age := max(now - self.heartbeat, seconds_still)) > STALE_SECONDS:
            return f"its last heartbeat is {age:.0f} s old"
        return None


class _Stillness:
    """The time for which a heartbeat has not moved, by this process's own clock."""

    def __init__(self) -> None:
        self._seen: tuple[str, float] | None = None
        self._since = 0.0

    def seconds(self, holding: _Holding) -> float:
        # With the token: a lock that changed hands is not still, whatever its time.
        seen = (holding.owner.token, holding.heartbeat)
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since


def _acquired(folder: Path) -> Lock:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    me = Owner(token=uuid4().hex, since=since, process=this_process())
    told, stillness = float("-inf"), _Stillness()
    while isinstance(taken := _take(folder, me, stillness), _Holding):
        if time.monotonic() - told >= REMINDER_SECONDS:
            logger.warning(
                "waiting for %s: %s is building it; should that process be gone for good, "
                "delete %s",
                folder, taken.owner, _lock_path(folder),
            )  # fmt: skip
            told = time.monotonic()
        time.sleep(POLL_SECONDS)
    return taken


def _take(folder: Path, me: Owner, stillness: _Stillness) -> Lock | _Holding:
    """The lock, taken now, or its rightful holder."""
    path, taken_from = _lock_path(folder), None
    with _guard(folder) as now:
        holding = _holding(folder)
        if holding is not None:
            reason = holding.stale_because(now, stillness.seconds(holding))
            if reason is None:
                return holding
            logger.warning("taking over %s from %s: %s", folder, holding.owner, reason)
            taken_from = holding.owner.token
        for crumb in path.parent.glob(f".{path.name}.*{TMP_SUFFIX}"):
            crumb.unlink()  # of a taker that was killed: nobody else writes here now
        # A new file, not the old one rewritten: its time of modification is the first heartbeat.
        with write_atomically(path) as file:
            file.write(json.dumps(asdict(me), indent=2).encode())
    return Lock(folder, me.token, taken_from)


def _release(lock: Lock) -> None:
    # Only an own lock: one that was taken over by now belongs to somebody who is at work.
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
    """Hold the lock files of this kind alone; yields the file system's own time."""
    # These files stay: removing a file that others may flock lets two of them in at once.
    path = folder.parent.parent / ".locks" / folder.parent.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # Heartbeats are stamped by the file system too: clocks of two machines may differ.
        os.utime(path)
        yield os.fstat(file.fileno()).st_mtime


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
