"""The nearest row is the one of the full product, however many blocks the rows come in."""

import numpy as np
import pytest

from interlingua.core import nearest
from interlingua.core.geometry import unit
from interlingua.core.nearest import nearest_rows

RNG = np.random.default_rng(0)
ROWS_MD, ASKING_ND = RNG.normal(size=(57, 8)), RNG.normal(size=(23, 8))


def blocks(rows_MD, size):
    return (rows_MD[start : start + size] for start in range(0, len(rows_MD), size))


@pytest.mark.parametrize("size", [1, 10, 57])
@pytest.mark.parametrize("asking", [4, 1024])
def test_blocks_change_nothing(size, asking, monkeypatch):
    monkeypatch.setattr(nearest, "ASKING_ROWS", asking)
    expected_N = (unit(ASKING_ND) @ unit(ROWS_MD).T).argmax(axis=1)
    assert nearest_rows(ASKING_ND, blocks(ROWS_MD, size)).tolist() == expected_N.tolist()


def test_a_row_that_points_nowhere_is_nobodys_nearest():
    rows_MD = np.array([[0.0, 0.0], [-1.0, 0.1]])
    assert nearest_rows(np.array([[1.0, 0.0]]), [rows_MD]).tolist() == [1]
    assert nearest_rows(np.array([[1.0, 0.0]]), [rows_MD[:1]]).tolist() == [0]


def test_of_equals_it_is_the_first():
    rows_MD = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 0.0]])
    asking_ND = np.array([[3.0, 0.0]])
    assert nearest_rows(asking_ND, blocks(rows_MD, 1)).tolist() == [1]
    assert nearest_rows(asking_ND, [rows_MD]).tolist() == [1]
