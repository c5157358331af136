"""Compare two evaluations on the rows that both have: `interlingua compare A B`.

From their rows alone: without a model, without Ray, from folders that may have been copied.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interlingua.commands.command_line import table_console
from interlingua.store.atomic import write_atomically
from interlingua.store.record import Record, read_record

MOST_FIELDS = 12


def main(arguments: argparse.Namespace) -> None:
    """Print tables of A, B and B - A, what was left out, and in what the two differ."""
    from interlingua.report.from_rows import read_recorded
    from interlingua.report.tables.compared import compared, csv_of, grids, headline, latex_of
    from interlingua.report.tables.grid import rich_tables

    (a_name, a_folder), (b_name, b_folder) = (_named(text) for text in (arguments.a, arguments.b))
    records = [_record(folder) for folder in (a_folder, b_folder)]
    found = compared(read_recorded(a_folder), read_recorded(b_folder))
    names = (a_name, b_name)
    tables = list(grids(found, names))
    notes = list(_notes(found.num_common, found.left_out, records))
    lines = headline(found)
    console = table_console()
    for grid in tables:
        for table in rich_tables(grid, console.width):
            console.print(table)
    for note in (*notes, "", *lines):  # last, where it is seen
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if arguments.csv:
        _write(arguments.csv, csv_of(found))
    if arguments.latex:
        _write(arguments.latex, "\n".join(map(latex_of, tables)))
    if arguments.page:
        from interlingua.report.page.compared import compared_page

        _write(arguments.page, compared_page(names, (a_folder, b_folder), lines, tables, notes))


def _notes(
    num_common: Mapping[str, int], left_out: tuple[str, ...], records: list[Record]
) -> Iterator[str]:
    each = ", ".join(f"{host} {number}" for host, number in num_common.items())
    yield f"common rows: {each}"
    yield from left_out or ("no row is left out",)
    for side, record in zip("AB", records, strict=True):
        host = record.provenance.hostname
        yield f"{side}: {record.kind}/{record.label}-{record.fingerprint}, made on {host}, " + (
            f"finished {record.finished[:10]}"
        )
    yield from _differing_fields(*records)


def _differing_fields(one: Record, other: Record) -> Iterator[str]:
    """Settings, inputs and versions in which two records differ."""
    ours, theirs = (_fields(record) for record in (one, other))
    either = sorted(ours.keys() | theirs.keys())
    names = [name for name in either if ours.get(name) != theirs.get(name)]
    yield f"{len(names)} fields of the two records differ" + (":" if names else "")
    for name in names[:MOST_FIELDS]:
        yield f"  {name}: {ours.get(name, 'none')} in A, {theirs.get(name, 'none')} in B"
    if len(names) > MOST_FIELDS:
        yield f"  and {len(names) - MOST_FIELDS} more"


def _fields(record: Record) -> dict[str, Any]:
    inputs = {f"input {n}": f"{e.label}-{e.fingerprint}" for n, e in record.inputs.items()}
    versions = {f"version of {n}": v for n, v in record.provenance.packages.items()}
    spec = {f"spec {name}": value for name, value in record.spec.items()}
    return {**spec, **inputs, **versions, "revision": record.revision}


def _named(text: str) -> tuple[str, Path]:
    """A name and a folder, of `NAME=FOLDER` or of a folder alone."""
    name, separator, folder = text.partition("=")
    path = Path(folder if separator else text).resolve()
    return (name if separator else path.name), path


def _record(folder: Path) -> Record:
    if (record := read_record(folder)) is None or record.kind != "evaluation":
        raise ValueError(f"{folder} is no finished evaluation")
    return record


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text.encode())


def compare_parser() -> argparse.ArgumentParser:
    """Arguments: two folders of evaluations, and where to write tables."""
    made = argparse.ArgumentParser(prog="python -m jobs.compare", description=__doc__)
    made.add_argument("a", metavar="A", help="FOLDER of an evaluation, or NAME=FOLDER")
    made.add_argument("b", metavar="B", help="FOLDER of the other, or NAME=FOLDER")
    made.add_argument("--csv", type=Path, metavar="FILE", help="write all numbers")
    made.add_argument("--latex", type=Path, metavar="FILE", help="write the tables for a paper")
    made.add_argument("--page", type=Path, metavar="FILE", help="write a page, with explanations")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
