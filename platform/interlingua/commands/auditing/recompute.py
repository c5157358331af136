"""Make an evaluation's numbers again from its rows: `python -m jobs.recompute FOLDER`.

In this process, without any model and without Ray; then they are compared with those that stand in
the folder.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from interlingua.store.integrity import bad_files
from interlingua.store.record import Record, read_record
from interlingua.store.rows.likelihood import LIKELIHOOD_NAME
from interlingua.store.rows.scored import host_path

if TYPE_CHECKING:
    from interlingua.report.numbers import Recorded


def main(arguments: argparse.Namespace) -> None:
    """Print the tables; an error where a number differs from the recorded one."""
    from rich.console import Console

    from interlingua.report.numbers import NUMBERS_NAME, numbers_of, read_numbers
    from interlingua.report.tables.universal import universal_tables

    folder = arguments.folder.resolve()
    record = _record(folder)
    recorded = read_numbers(_there(folder / NUMBERS_NAME))
    recorded_rows, start = _rows(folder, record), _start_rows(folder, record)
    numbers = numbers_of(recorded_rows, seed=record.spec["seed"], start=start)
    console = Console()
    for table in universal_tables(numbers, recorded_rows.rows.hosts(), width=console.width):
        console.print(table)
    # Files that changed are named beside numbers that differ, as their likely cause.
    changed = [*bad_files(folder, record), *_changed_in_start(folder, record)]
    if different := numbers.differing(recorded):
        said = f"{len(different)} numbers differ from those recorded: {different[:5]}"
        raise ValueError("; ".join([said, *changed]))
    for cause in changed:  # nothing that the numbers depend on
        console.print(f"but {cause}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(numbers.all)} numbers, all equal to those in {folder / NUMBERS_NAME}")


def _record(folder: Path) -> Record:
    if (record := read_record(folder)) is None or record.kind != "evaluation":
        raise ValueError(f"{folder} is no finished evaluation")
    return record


def _start_rows(folder: Path, record: Record) -> "Recorded | None":
    """The rows of the evaluation that this one is compared with."""
    start = _start(folder, record)
    return None if start is None else _rows(start, _record(start))


def _changed_in_start(folder: Path, record: Record) -> list[str]:
    start = _start(folder, record)
    return [] if start is None else list(bad_files(start, _record(start)))


def _start(folder: Path, record: Record) -> Path | None:
    if (entry := record.inputs.get("start")) is None:
        return None
    start = folder.parent / f"{entry.label}-{entry.fingerprint}"
    if not start.is_dir():
        raise ValueError(f"{folder} is compared with {start}, which is not there; copy it, too")
    return start


def _rows(folder: Path, record: Record) -> "Recorded":
    """All rows of an evaluation: fewer would give other numbers, not fewer."""
    from interlingua.report.numbers import read_recorded

    for tag in record.spec["host_tags"]:
        _there(host_path(folder, tag))
    if LIKELIHOOD_NAME in record.files:
        _there(folder / LIKELIHOOD_NAME)
    return read_recorded(folder)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is missing; copy or build the evaluation again")
    return path


def recompute_parser() -> argparse.ArgumentParser:
    """Arguments: the folder of an evaluation."""
    made = argparse.ArgumentParser(prog="python -m jobs.recompute", description=__doc__)
    made.add_argument("folder", type=Path, help="the folder of an evaluation")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
