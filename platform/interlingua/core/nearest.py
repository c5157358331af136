"""The nearest of many rows by cosine, block by block. Knows no file.

N rows that ask, B rows of a block, D their width.
"""

from collections.abc import Iterable

import numpy as np

from interlingua.core.geometry import has_direction, unit

ASKING_ROWS = 1024
BEHIND_ALL = -2.0  # no cosine is as low


def nearest_rows(asking_ND: np.ndarray, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The number of the nearest row, counted through all blocks, for every row that asks.

    A row that points nowhere is nearest to none, unless there is no other. Of equals the first.
    """
    direction_ND = unit(asking_ND)
    best_N, nearest_N = np.full(len(asking_ND), -np.inf), np.full(len(asking_ND), -1)
    num_before = 0
    for block_BD in blocks:
        block_BD, is_nowhere_B = unit(block_BD), ~has_direction(block_BD)
        # No product of all rows with all: a part of those that ask, and one block.
        for start in range(0, len(direction_ND), ASKING_ROWS):
            part = slice(start, start + ASKING_ROWS)
            cos_NB = direction_ND[part] @ block_BD.T
            cos_NB[:, is_nowhere_B] = BEHIND_ALL
            place_N = cos_NB.argmax(axis=1)
            cos_N = cos_NB[np.arange(len(place_N)), place_N]
            is_nearer_N = cos_N > best_N[part]
            best_N[part][is_nearer_N] = cos_N[is_nearer_N]
            nearest_N[part][is_nearer_N] = num_before + place_N[is_nearer_N]
        num_before += len(block_BD)
    return nearest_N
