"""Rows of samples as arrays, and a rank's share of them. Knows no model."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from interlingua.stages.sft.engine import Engine


def padded(rows: Sequence[Sequence[Any]], fill: float, dtype: type) -> np.ndarray:
    """[N, T] with `fill` behind each row's end."""
    array_NT: np.ndarray = np.full((len(rows), max(1, *map(len, rows))), fill, dtype)
    for place, row in enumerate(rows):
        array_NT[place, : len(row)] = row
    return array_NT


def shares(
    lengths_N: np.ndarray, engine: Engine, micro_batch_rows: int
) -> Iterator[tuple[np.ndarray, int]]:
    """This rank's rows in micro-batches of like length, each with the length of its longest row."""
    # Dealt out before sorting: every rank has as many rows, and so as many micro-batches.
    mine_M = np.arange(engine.rank, len(lengths_N), engine.world_size)
    mine_M = mine_M[np.argsort(lengths_N[mine_M], kind="stable")]
    for start in range(0, len(mine_M), micro_batch_rows):
        rows = mine_M[start : start + micro_batch_rows]
        yield rows, int(lengths_N[rows].max())
