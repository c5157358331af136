"""Make an evaluation's numbers again from its rows: `python -m jobs.recompute FOLDER`.

In this process, without any model and without Ray; then they are compared with those that stand in
the folder.
"""

import argparse
from pathlib import Path

from jobs.command import run_command


def main(arguments: argparse.Namespace) -> None:
    """Print the tables; an error where a number differs from the recorded one."""
    folder = arguments.folder
    from rich.console import Console

    from interlingua.report.numbers import NUMBERS_NAME, numbers_of, read_numbers
    from interlingua.report.universal import universal_tables
    from interlingua.store.record import read_record
    from interlingua.store.scored import read_scored

    if (record := read_record(folder)) is None or record.kind != "evaluation":
        raise ValueError(f"{folder} is no finished evaluation")
    start = None
    if (entry := record.inputs.get("start")) is not None:
        start = read_scored(folder.parent / f"{entry.label}-{entry.fingerprint}")
    rows = read_scored(folder)
    numbers = numbers_of(rows, seed=record.spec["seed"], start=start)
    console = Console()
    for table in universal_tables(numbers, rows.hosts(), width=console.width):
        console.print(table)
    if different := numbers.differing(read_numbers(folder / NUMBERS_NAME)):
        raise ValueError(f"{len(different)} numbers differ from those recorded: {different[:5]}")
    console.print(f"{len(numbers.all)} numbers, all equal to those in {folder / NUMBERS_NAME}")


def recompute_parser() -> argparse.ArgumentParser:
    """Which evaluation."""
    made = argparse.ArgumentParser(prog="python -m jobs.recompute", description=__doc__)
    made.add_argument("folder", type=Path, help="the folder of an evaluation")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


if __name__ == "__main__":
    run_command(main, recompute_parser().parse_args())
