"""Make an evaluation's numbers again from its rows: `interlingua recompute FOLDER`.

In this process, without any model and without Ray; then they are compared with those that stand in
the folder. The folder alone is enough: it may have been copied from anywhere.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from interlingua.store.integrity import bad_files
from interlingua.store.record import Record, read_record
from interlingua.store.rows.likelihood import LIKELIHOOD_NAME
from interlingua.store.rows.scored import host_path

if TYPE_CHECKING:
    from interlingua.report.from_rows import Recorded
    from interlingua.report.numbers import Number, Numbers

SHOWN = 20  # numbers that differ


def main(arguments: argparse.Namespace) -> None:
    """Print what differs from the recorded numbers; then it is an error."""
    from interlingua.report.from_rows import START_FOLDER, numbers_of
    from interlingua.report.numbers import NUMBERS_NAME, read_numbers

    began = time.perf_counter()
    folder = arguments.folder.resolve()
    record = _record(folder)
    recorded = read_numbers(_there(folder / NUMBERS_NAME))
    own = _rows(folder, record)
    start = _rows(folder / START_FOLDER, record) if "start" in record.inputs else None
    print(_begun(folder, record, own), flush=True)
    numbers = numbers_of(own, seed=record.spec["seed"], start=start)
    if arguments.tables:
        _print_tables(numbers, own)
    # Files that changed are named beside numbers that differ, as their likely cause.
    changed = list(bad_files(folder, record))
    if different := numbers.differing(recorded):
        print("\n".join(_differences(numbers, recorded)), flush=True)
        words = f"{len(different)} numbers differ from those recorded: {different[:5]}"
        raise ValueError("; ".join([words, *changed]))
    for cause in changed:  # nothing that the numbers depend on
        print(f"but {cause}")
    seconds = time.perf_counter() - began
    print(
        f"{len(numbers.all):,} numbers, all equal to those in {folder / NUMBERS_NAME} "
        f"({seconds:.1f} s)"
    )


def _begun(folder: Path, record: Record, own: "Recorded") -> str:
    """What is about to be done, and of how much."""
    start = record.inputs.get("start")
    beside = f", compared with {start.label}-{start.fingerprint}" if start else ""
    rows = own.rows
    return (
        f"{folder.name}: {len(rows):,} rows, {len(rows.hosts())} hosts, "
        f"{len(rows.predictors())} predictors{beside}"
    )


def _differences(numbers: "Numbers", recorded: "Numbers") -> list[str]:
    """A line for every number that differs, up to SHOWN."""
    pairs = numbers.differences(recorded)
    lines = [_difference(*pair) for pair in pairs[:SHOWN]]
    return [*lines, f"  and {len(pairs) - SHOWN:,} more"] if len(pairs) > SHOWN else lines


def _difference(again: "Number | None", recorded: "Number | None") -> str:
    (one,) = {number.name: number for number in (again, recorded) if number}.values()
    sides = ", ".join(
        f"{side} {_words(number)}" for side, number in (("recorded", recorded), ("now", again))
    )
    return f"  {one.name} over {one.covers}: {sides}"


def _words(number: "Number | None") -> str:
    if number is None:
        return "none"
    value, low, high = (f"{x:.12g}" for x in (number.value, number.low, number.high))
    return f"{value} [{low}, {high}] n={number.num_units}"


def _print_tables(numbers: "Numbers", own: "Recorded") -> None:
    from rich.console import Console

    from interlingua.report.tables.universal import universal_tables

    console = Console()
    for table in universal_tables(numbers, own.rows.hosts(), width=console.width):
        console.print(table)


def _record(folder: Path) -> Record:
    if (record := read_record(folder)) is None or record.kind != "evaluation":
        raise ValueError(f"{folder} is no finished evaluation")
    return record


def _rows(folder: Path, record: Record) -> "Recorded":
    """All rows of an evaluation: fewer would give other numbers, not fewer."""
    from interlingua.report.from_rows import read_recorded

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
    made.add_argument("--tables", action="store_true", help="print the tables of all numbers, too")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
