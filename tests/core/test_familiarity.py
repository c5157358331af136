"""Rows drawn as those of the fit are near and others far, and few rows say so honestly."""

import numpy as np
import pytest

from interlingua.core.familiarity import UNLIKE, fit_familiarity

WIDTH, NUM_FOLDS = 12, 4


def drawn(num: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Rows with one dimension far larger than the others, as real hosts have."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(WIDTH, WIDTH))
    rows = rng.normal(size=(num, WIDTH)) @ mixing + shift
    rows[:, 0] += 300 * rng.normal(size=num)
    return rows


def fitted(num: int):
    rows = drawn(num, 0)
    folds = np.arange(num) % NUM_FOLDS

    def blocks():
        for start in range(0, num, 100):
            part = slice(start, start + 100)
            yield rows[part], np.zeros((len(rows[part]), 1)), folds[part]

    return fit_familiarity(blocks, num_folds=NUM_FOLDS)


@pytest.mark.parametrize("num", [40, 400, 4000])
def test_new_rows_of_the_same_kind_are_as_near_as_those_of_the_fit(num):
    """Also where the rows are hardly more than the dimensions: their distances are held out."""
    shares = fitted(num).share_nearer(drawn(2000, 1))
    assert 0.4 < shares.mean() < 0.6
    assert (shares > UNLIKE).mean() < (0.12 if num < 100 else 0.03)


def test_the_distance_of_a_typical_row_is_about_one():
    assert fitted(4000).distance(drawn(2000, 1)).mean() == pytest.approx(1, abs=0.05)


def test_rows_of_another_kind_are_far_however_small_the_difference_beside_the_largest():
    unlike = drawn(200, 2, shift=12.0)  # 300 is the spread of the largest dimension
    assert (fitted(400).share_nearer(unlike) > UNLIKE).mean() > 0.95


def test_a_mean_is_nearest_of_all():
    found = fitted(400)
    assert found.share_nearer(found.mean_D[None]) == 0


def test_of_one_fold_nothing_is_said():
    rows = drawn(50, 0)

    def blocks():
        yield rows, np.zeros((50, 1)), np.zeros(50, int)

    assert fit_familiarity(blocks, num_folds=NUM_FOLDS) is None
