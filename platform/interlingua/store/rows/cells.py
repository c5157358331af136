"""The rows of one cell of a sweep: one activation each. Knows no model and no statistic."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet

CELL_ROWS_NAME = "rows.parquet"

Columns = Mapping[str, np.ndarray]


def write_cell(folder: Path, columns: Columns) -> None:
    """Store the rows in one file that appears when it is whole."""
    with write_atomically(folder / CELL_ROWS_NAME) as file:
        pq.write_table(pa.table({name: pa.array(column) for name, column in columns.items()}), file)


def read_cell(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a cell's rows."""
    table = read_parquet(folder / CELL_ROWS_NAME)
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
