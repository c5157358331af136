"""Tables as data: the same cells for a terminal and for a page. Knows no metric and no file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite, nan
from typing import Any

from rich.console import Console
from rich.table import Table

from interlingua.report.numbers import Number
from interlingua.report.tables.doubt import doubt_of

BETWEEN = "|"  # of the parts of a number's name
UNBOUNDED_WIDTH = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Text of one place in a table; a number also has its name and its full precision."""

    text: str
    doubt: str = ""
    name: str = ""  # host|predictor|metric|covers
    value: float = nan
    low: float = nan
    high: float = nan

    @property
    def has_interval(self) -> bool:
        """Whether the doubt is an interval, and no count of units."""
        return isfinite(self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a grid: what it is about, then a cell a column."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    starts_section: bool = False
    is_mean: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A titled table; where it is split for its width, the labels stand in every part."""

    title: str
    caption: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def is_of_words(self, column: int) -> bool:
        """True where a column holds words alone, and so is aligned to the left."""
        return not any(row.cells[column].name for row in self.rows)


NOTHING = Cell(text="-")


def words_cell(text: object) -> Cell:
    """A cell of words."""
    return Cell(text=str(text))


def number_cell(number: Number | None, *, digits: int = 2) -> Cell:
    """A number with its interval, or with its units where these are few; a dash for none."""
    if number is None:
        return NOTHING
    doubt = doubt_of(number, digits=digits)
    return Cell(
        # z: a value that rounds to zero is printed without a minus.
        text=f"{number.value:z.{digits}f}",
        doubt=doubt.words,
        name=BETWEEN.join((number.host, number.predictor, number.metric, number.covers)),
        value=number.value,
        low=doubt.low,
        high=doubt.high,
    )


def value_cell(name: str, value: float, *, text: str) -> Cell:
    """A number that has no interval: a count, a duration, what others published."""
    return Cell(text=text, name=name, value=float(value))


def metric_cell(place: str, metrics: Mapping[str, Any], metric: str, *, digits: int = 2) -> Cell:
    """A number of a record, with its interval; `place` is `host|predictor`."""
    if metric not in metrics:
        return NOTHING
    host, predictor = place.split(BETWEEN)
    found = Number(
        host=host,
        predictor=predictor,
        metric=metric,
        value=metrics[metric],
        low=metrics.get(f"{metric}_low", nan),
        high=metrics.get(f"{metric}_high", nan),
        num_units=metrics.get(f"{metric}_n", 0),
        covers="record",
    )
    return number_cell(found, digits=digits)


def without_empty_columns(grid: Grid) -> Grid:
    """The grid without the columns in which no row has anything to say."""
    kept = [n for n in range(len(grid.columns)) if any(r.cells[n] != NOTHING for r in grid.rows)]
    return _with_columns(grid, kept)


def rich_tables(grid: Grid, width: int) -> Iterator[Table]:
    """The grid for a terminal of this width: one table, or as many as make it fit."""
    num_columns = len(grid.columns)
    tables = [_rich(grid)]  # also of labels alone
    for num_parts in range(1, num_columns + 1):
        size = ceil(num_columns / num_parts)
        parts = [range(n, min(n + size, num_columns)) for n in range(0, num_columns, size)]
        tables = [_rich(_with_columns(grid, part)) for part in parts]
        if all(_width(table) <= width for table in tables):
            break
    for table in tables[1:]:
        table.title = f"{grid.title} (continued)"
    for table in tables[:-1]:
        table.caption = None
    yield from tables


def _with_columns(grid: Grid, kept: Sequence[int]) -> Grid:
    rows = [replace(row, cells=tuple(row.cells[n] for n in kept)) for row in grid.rows]
    return replace(grid, columns=tuple(grid.columns[n] for n in kept), rows=tuple(rows))


def _rich(grid: Grid) -> Table:
    table = Table(title=grid.title, caption=grid.caption)
    for label in grid.labels:
        table.add_column(label)
    for column in grid.columns:
        table.add_column(column, justify="right")
    for row in grid.rows:
        if row.starts_section:
            table.add_section()
        table.add_row(*row.labels, *(f"{cell.text} {cell.doubt}".rstrip() for cell in row.cells))
    return table


def _width(table: Table) -> int:
    """Width of the table with no cell broken into lines; titles may be."""
    bare = Table(*table.columns, box=table.box)
    bare.rows = table.rows
    return Console(width=UNBOUNDED_WIDTH).measure(bare).maximum
