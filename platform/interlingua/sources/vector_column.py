"""Vectors in a column of a parquet file, read on through its row groups. Knows no other file.

A row group may have many GiB: it is decoded a few MiB at a time. N rows, D width.
"""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

CHUNK_BYTES = 16 * 2**20  # of what is decoded at once
NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def is_vectors(kind: pa.DataType) -> bool:
    """True of lists of floats."""
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(kind) for is_kind in is_list) and pa.types.is_floating(kind.value_type)


class VectorColumn:
    """The vectors of one column by the numbers of their rows; asked in order, it is read once."""

    def __init__(self, path: Path, column: str) -> None:
        self.where = f"{path}, column {column}"
        self._path, self._column = path, column
        # Mapped: a row group may have many GiB, which would else be read as one.
        self._file = pq.ParquetFile(path, memory_map=True)
        groups = range(self._file.num_row_groups)
        sizes = [self._file.metadata.row_group(group).num_rows for group in groups]
        self._ends = list(accumulate(sizes))
        self.num_rows = self._file.metadata.num_rows
        kind = self._file.schema_arrow.field(column).type
        self.dtype = NAMES[str(kind.value_type)]
        self.width = self._width(kind)
        self._chunk: tuple[int, pa.Array]
        self._begin_at(0)

    def take(self, numbers_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows; asked for in order, the file is read once."""
        found = []
        done = 0
        while done < len(numbers_N):
            first, rows = self._chunk_with(int(numbers_N[done]))
            until = int(np.searchsorted(numbers_N, first + len(rows)))
            found.append(self._floats(first, rows)[numbers_N[done:until] - first])
            done = until
        # numpy gathers: arrow's take has silently corrupted rows of large columns.
        return np.concatenate(found)

    def _chunk_with(self, number: int) -> tuple[int, pa.Array]:
        first, rows = self._chunk
        if number < first or self._group_of(number) > self._group_of(first):
            self._begin_at(number)
            first, rows = self._chunk
        while number >= first + len(rows):
            first, rows = self._chunk = next(self._chunks)
        return first, rows

    def _begin_at(self, number: int) -> None:
        """Go to the row group of this row; all before it stay unread."""
        group = self._group_of(number)
        self._chunks = self._chunks_from(group)
        self._chunk = (self._ends[group - 1] if group else 0, pa.array([]))

    def _chunks_from(self, group: int) -> Iterator[tuple[int, pa.Array]]:
        size = max(1, CHUNK_BYTES // (8 * max(1, self.width)))
        for index in range(group, len(self._ends)):
            first = self._ends[index - 1] if index else 0
            batches = self._file.iter_batches(size, row_groups=[index], columns=[self._column])
            for batch in self._named(batches):
                yield first, batch.column(0)
                first += len(batch)

    def _named(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except pa.ArrowException as error:
            words = " ".join(str(error).split())
            raise ValueError(
                f"{self.where} cannot be read ({words}); vectors of fixed size must not be null: "
                "write the file without those rows, or as lists"
            ) from error

    def _group_of(self, number: int) -> int:
        return int(np.searchsorted(self._ends, number, side="right"))

    def _width(self, kind: pa.DataType) -> int:
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for batch in self._named(self._file.iter_batches(64, columns=[self._column])):
            lengths = pc.list_value_length(batch.column(0)).drop_null()
            if len(lengths):
                return int(lengths[0].as_py())
        return 0

    def _floats(self, first: int, rows: pa.Array) -> NDArray[np.float32]:
        """[N, D]: NaN where a row, or a number in it, is null."""
        has_vector_N = rows.is_valid().to_numpy(zero_copy_only=False)
        if not pa.types.is_fixed_size_list(rows.type):
            lengths_N = pc.fill_null(pc.list_value_length(rows), self.width).to_numpy()
            if (lengths_N != self.width).any():
                row = int(np.flatnonzero(lengths_N != self.width)[0])
                raise ValueError(
                    f"{self.where}, row {first + row} is {lengths_N[row]} wide, the first "
                    f"{self.width}: vectors of one host and block have one width"
                )
        values = rows.flatten().to_numpy(zero_copy_only=False)  # without the null rows
        rows_ND = np.full((len(rows), self.width), np.nan, np.float32)
        with np.errstate(over="ignore"):
            rows_ND[has_vector_N] = values.reshape(-1, self.width)
        return rows_ND
