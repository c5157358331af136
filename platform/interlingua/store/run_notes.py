"""Notes of the commands that build in a root: which stages, since when, where, and how it ended.

For people who ask what is running; nothing that is computed reads them. A command's note is a file
of its own, whose time of modification is its heartbeat.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from interlingua.store.atomic import write_atomically
from interlingua.store.lock import HEARTBEAT_SECONDS, STALE_SECONDS
from interlingua.store.process import ProcessIdentity, is_gone

FOLDER = ".runs"
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """A command that builds stages; `stages` are their keys, each with those of its inputs.

    `cluster` is the address of the Ray that it uses, None for one of its own. `causes` are the
    errors by the names of the stages that failed.
    """

    key: str
    title: str
    command: str
    cluster: str | None
    process: ProcessIdentity
    since: float
    stages: Mapping[str, Sequence[str]]
    state: str = RUNNING
    ended: float | None = None
    causes: Mapping[str, str] = field(default_factory=dict)


def write_note(root: Path, note: RunNote) -> None:
    """Store the note in the place of an earlier one of the same run."""
    path = _path(root, note.key)
    path.parent.mkdir(exist_ok=True)
    with write_atomically(path) as file:
        file.write(json.dumps(asdict(note)).encode())


def read_notes(root: Path) -> list[RunNote]:
    """Every run of the root, the newest last; one whose process died says that it stopped."""
    found = []
    for path in (root / FOLDER).glob("*.json"):
        entries = json.loads(path.read_bytes())
        note = RunNote(**{**entries, "process": ProcessIdentity(**entries["process"])})
        beat = path.stat().st_mtime
        if note.state == RUNNING and (is_gone(note.process) or time.time() - beat > STALE_SECONDS):
            note = replace(note, state=STOPPED, ended=beat)
        found.append(note)
    return sorted(found, key=lambda note: note.since)


@contextmanager
def beating(root: Path, note: RunNote) -> Iterator[None]:
    """Keep the note's heartbeat going while the block runs."""
    stop = threading.Event()
    path = _path(root, note.key)

    def beat() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # a disk that stutters; the next beat comes soon
                path.touch(exist_ok=True)

    heart = threading.Thread(target=beat, daemon=True, name="run-note-heartbeat")
    heart.start()
    try:
        yield
    finally:
        stop.set()
        heart.join()


def _path(root: Path, key: str) -> Path:
    return root / FOLDER / f"{key}.json"
