"""Checks that an artifact's folder still holds what was published: every file, and no other.

A file that nobody touched since its hash was last taken is known by its stamp (size, inode, times)
and not read again; whoever wants to be sure reads everything. Knows no stage.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlingua.store.atomic import write_atomically
from interlingua.store.record import RECORD_NAME, Record

STAMPS_FOLDER = ".verified"  # of a run root; it may be deleted at any time
# A stage whose files lie elsewhere leaves their absolute paths here, one a line.
OUTSIDE_NAME = "outside.txt"

Stamp = list[int]


class CorruptFile(RuntimeError):
    """A file of an artifact is not the one that was published."""


def file_hashes(folder: Path) -> dict[str, str]:
    """The hash of every file of an artifact that is about to be published."""
    return {name: sha256_of(folder / name) for name in (*_present(folder), *_outside(folder))}


def sha256_of(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_files(folder: Path, record: Record, *, is_thorough: bool) -> None:
    """Raise CorruptFile unless the folder is as it was published; names the first bad file.

    A thorough check reads every byte. Otherwise files whose stamps are known are taken as good.
    """
    known = {} if is_thorough else _read_stamps(folder)
    for cause in bad_files(folder, record, known):
        raise CorruptFile(f"{cause}; delete the folder {folder} and run again: it is made anew")
    if not is_thorough:
        note_stamps(folder, record)


def bad_files(
    folder: Path, record: Record, known: Mapping[str, Stamp] | None = None
) -> Iterator[str]:
    """A sentence for everything wrong with an artifact's files; `known` are not read again."""
    for name in sorted(set(_present(folder)) - record.files.keys()):
        yield f"{folder / name} is none of the files that were published"
    for name, expected in record.files.items():
        path = folder / name  # an absolute name stays as it is: such a file lies elsewhere
        if not path.is_file():
            yield f"{path} is missing"
        # Another stamp is no damage yet: a copied root has new ones, and its content decides.
        elif (known or {}).get(name) != _stamp(path) and sha256_of(path) != expected:
            yield f"{path} is not as it was published (its hash differs)"


def note_stamps(folder: Path, record: Record) -> None:
    """Remember the files of an artifact that has just been written, or read as a whole."""
    stamps = {name: _stamp(folder / name) for name in record.files}
    if stamps != _read_stamps(folder):
        path = _stamps_path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write(json.dumps(stamps).encode())


def _present(folder: Path) -> list[str]:
    """The files of an artifact's folder but for its record, which has a hash of its own."""
    found = (
        str(Path(parent, name).relative_to(folder))
        for parent, _, names in os.walk(folder)
        for name in names
    )
    return sorted(name for name in found if name != RECORD_NAME)


def _outside(folder: Path) -> list[str]:
    path = folder / OUTSIDE_NAME
    return path.read_text().splitlines() if path.exists() else []


def _stamp(path: Path) -> Stamp:
    # The time of change, too: unlike that of modification nobody can set it back.
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _read_stamps(folder: Path) -> dict[str, Stamp]:
    try:
        stamps: dict[str, Stamp] = json.loads(_stamps_path(folder).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}  # without them everything is read
    return stamps


def _stamps_path(folder: Path) -> Path:
    return folder.parent.parent / STAMPS_FOLDER / folder.parent.name / f"{folder.name}.json"
