"""A run root read as a whole, to check that every artifact is as published. Knows no stage."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from interlingua.store.integrity import bad_files
from interlingua.store.partial import PARTIAL_SUFFIX
from interlingua.store.record import RECORD_NAME, CorruptRecord, Record, read_record


class Checked(NamedTuple):
    """One artifact: the bytes that were read, and a sentence for everything that is wrong."""

    folder: Path
    num_bytes: int
    causes: list[str]


def artifact_folders(root: Path) -> list[Path]:
    """Every published artifact of a root; or the one that this folder is."""
    if (root / RECORD_NAME).exists():
        return [root]
    found = (path for path in root.glob("[!.]*/*") if path.is_dir())
    # Folders without a record, too, where the others of their kind are artifacts.
    return sorted(path for path in found if path.suffix != PARTIAL_SUFFIX and _is_artifact(path))


def checked(folders: list[Path]) -> Iterator[Checked]:
    """Every one of these artifacts, read byte by byte."""
    for folder in folders:
        try:
            record = read_record(folder)
        except CorruptRecord as error:
            yield Checked(folder, 0, [str(error)])
            continue
        if record is None:
            cause = f"{folder / RECORD_NAME} is missing; delete the folder {folder} and run again"
            yield Checked(folder, 0, [cause])
            continue
        causes = [*bad_files(folder, record), *_lost_inputs(folder, record)]
        yield Checked(folder, _num_bytes(folder, record), causes)


def _is_artifact(folder: Path) -> bool:
    if (folder / RECORD_NAME).exists():
        return True
    return any(other.exists() for other in folder.parent.glob(f"*/{RECORD_NAME}"))


def _lost_inputs(folder: Path, record: Record) -> Iterator[str]:
    root = folder.parent.parent
    for name, entry in record.inputs.items():
        path = root / entry.kind / f"{entry.label}-{entry.fingerprint}"
        if not (path / RECORD_NAME).exists():
            yield f"{folder} was made from {path} ({name}), which is not there"


def _num_bytes(folder: Path, record: Record) -> int:
    paths = (folder / name for name in record.files)
    return sum(path.stat().st_size for path in paths if path.is_file())
