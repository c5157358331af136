"""Files that are whole or absent, and a full disk that says so. Knows no format and no stage."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

TMP_SUFFIX = ".tmp"
# Of the disk, of a quota, and of a limit on the size of a file.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StorageFull(OSError):
    """There was no room left to write; nothing half-written was published."""


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at the path, flushed to disk, only when the block ends cleanly."""
    # A name of its own per writer: two writers of one path must not share a temporary, and what a
    # killed writer leaves behind is swept by `settle`.
    tmp = path.with_name(f".{path.name}.{uuid4().hex[:8]}{TMP_SUFFIX}")
    try:
        with naming_full_storage(path):
            with tmp.open("xb") as file:
                yield file
                # Before the rename: a power cut could leave the name on disk without the content.
                file.flush()
                os.fsync(file.fileno())
            os.replace(tmp, path)
            sync(path.parent)
    finally:
        tmp.unlink(missing_ok=True)


@contextmanager
def naming_full_storage(path: Path) -> Iterator[None]:
    """Turn the errors of a full disk, quota or file size limit into StorageFull; pass others on."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        existing = next(place for place in (path, *path.parents) if place.exists())
        free_mib = shutil.disk_usage(existing).free / 2**20
        raise StorageFull(
            f"cannot write {path}: {os.strerror(error.errno)} ({free_mib:.0f} MiB free); make "
            f"room or raise the limit (quota, ulimit -f) and run again: finished parts are kept"
        ) from error


def settle(folder: Path) -> None:
    """Sweep temporaries of killed writers, then flush every file and folder below to disk."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if path.name.startswith(".") and path.name.endswith(TMP_SUFFIX):
                path.unlink()
            elif not path.is_symlink():
                sync(path)
        sync(Path(parent))


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder so that a rename in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
