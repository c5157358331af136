import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from interlingua.core.moments import BLOCK_ROWS, FoldMoments, Moments, fold_of, folds_of, row_blocks

NUM_INPUTS, NUM_OUTPUTS, NUM_FOLDS = 7, 4, 3
GOLDEN_FOLDS = [3, 3, 0, 3, 0, 0, 2, 1, 1, 1]


def rows(num_rows=200, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    x_ND = (rng.standard_normal((num_rows, NUM_INPUTS)) + offset).astype(np.float32)
    y_NE = (rng.standard_normal((num_rows, NUM_OUTPUTS)) - offset).astype(np.float32)
    return x_ND, y_NE, rng.integers(0, NUM_FOLDS, num_rows)


def assert_moments_of(moments, x_ND, y_NE):
    x_ND, y_NE = x_ND.astype(np.float64), y_NE.astype(np.float64)
    about_x_ND, about_y_NE = x_ND - x_ND.mean(axis=0), y_NE - y_NE.mean(axis=0)
    assert moments.num_rows == len(x_ND)
    np.testing.assert_allclose(moments.mean_x_D, x_ND.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(moments.mean_y_E, y_NE.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(moments.xx_DD, about_x_ND.T @ about_x_ND, atol=1e-11)
    np.testing.assert_allclose(moments.xy_DE, about_x_ND.T @ about_y_NE, atol=1e-11)
    np.testing.assert_allclose(moments.yy_E, (about_y_NE**2).sum(axis=0), atol=1e-11)


@given(st.lists(st.integers(0, 200), max_size=6), st.permutations(range(7)))
def test_blocks_of_any_size_joined_in_any_order_give_the_same_moments(cuts, order):
    x_ND, y_NE, folds_N = rows()
    bounds = [0, *sorted(cuts), 200]
    pieces = []
    for start, stop in zip(bounds, bounds[1:], strict=False):
        piece = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
        piece.add(x_ND[start:stop], y_NE[start:stop], folds_N[start:stop])
        pieces.append(piece)
    total = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    for index in order:
        if index < len(pieces):
            total = pieces[index] + total
    for fold in range(NUM_FOLDS):
        assert_moments_of(total.folds[fold], x_ND[folds_N == fold], y_NE[folds_N == fold])
        assert_moments_of(total.without(fold), x_ND[folds_N != fold], y_NE[folds_N != fold])
    assert_moments_of(total.total(), x_ND, y_NE)


def test_streamed_blocks_are_added_in_their_order_and_may_be_empty():
    x_ND, y_NE, folds_N = rows()
    parts = [slice(0, 90), slice(90, 90), slice(90, 200)]
    blocks = ((x_ND[part], y_NE[part], folds_N[part]) for part in parts)
    found = FoldMoments.of_blocks(blocks, num_folds=NUM_FOLDS)
    by_hand = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    for part in parts:
        by_hand.add(x_ND[part], y_NE[part], folds_N[part])
    for name, array in by_hand.as_arrays().items():
        np.testing.assert_array_equal(found.as_arrays()[name], array)
    assert (found.num_rows, found.num_occupied) == (200, NUM_FOLDS)


def test_of_no_block_at_all_there_are_moments_of_no_row():
    found = FoldMoments.of_blocks([], num_folds=NUM_FOLDS)
    assert (len(found.folds), found.num_rows, found.num_occupied) == (NUM_FOLDS, 0, 0)


@pytest.mark.parametrize("num_rows", [0, 1, BLOCK_ROWS, 2 * BLOCK_ROWS + 1])
def test_blocks_of_rows_cover_every_row_once(num_rows):
    found = [row for part in row_blocks(num_rows) for row in range(num_rows)[part]]
    assert found == list(range(num_rows))


def test_a_mean_far_larger_than_the_spread_costs_no_digits():
    x_ND, y_NE, _ = rows(num_rows=4000, offset=30_000)
    moments = Moments.empty(NUM_INPUTS, NUM_OUTPUTS)
    for start in range(0, 4000, 500):
        moments.join(Moments.of_rows(x_ND[start : start + 500], y_NE[start : start + 500]))
    spread_ND = x_ND.astype(np.longdouble) - x_ND.astype(np.longdouble).mean(axis=0)
    expected_DD = (spread_ND.T @ spread_ND).astype(np.float64)
    np.testing.assert_allclose(moments.xx_DD, expected_DD, rtol=1e-12, atol=1e-9)


def test_products_about_the_origin_are_plain_sums_of_products():
    x_ND, y_NE, _ = rows(offset=2.0)
    zero_x_D, zero_y_E = np.zeros(NUM_INPUTS), np.zeros(NUM_OUTPUTS)
    xx_DD, xy_DE, yy_E = Moments.of_rows(x_ND, y_NE).about(zero_x_D, zero_y_E)
    x_ND, y_NE = x_ND.astype(np.float64), y_NE.astype(np.float64)
    np.testing.assert_allclose(xx_DD, x_ND.T @ x_ND, rtol=1e-12)
    np.testing.assert_allclose(xy_DE, x_ND.T @ y_NE, rtol=1e-12)
    np.testing.assert_allclose(yy_E, (y_NE**2).sum(axis=0), rtol=1e-12)


def test_joining_leaves_the_other_side_and_a_sum_leaves_both_untouched():
    left, right = Moments.of_rows(*rows(seed=1)[:2]), Moments.of_rows(*rows(seed=2)[:2])
    before = left.xx_DD.copy(), right.xx_DD.copy()
    total = left + right
    total.join(left)
    np.testing.assert_array_equal(left.xx_DD, before[0])
    np.testing.assert_array_equal(right.xx_DD, before[1])


def test_moments_survive_a_safetensors_file_bit_by_bit():
    x_ND, y_NE, folds_N = rows()
    folds = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    folds.add(x_ND, y_NE, folds_N)
    arrays = folds.as_arrays()
    again = FoldMoments.from_arrays(load(save(arrays))).as_arrays()
    assert again.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_chosen_outputs_have_the_moments_of_their_columns():
    x_ND, y_NE, folds_N = rows()
    folds = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    folds.add(x_ND, y_NE, folds_N)
    columns = slice(1, 3)
    assert_moments_of(folds.of_outputs(columns).total(), x_ND, y_NE[:, columns])


@given(st.text(min_size=1, max_size=12), st.integers(1, 8))
def test_a_passage_has_one_fold(passage_id, num_folds):
    assert fold_of(passage_id, num_folds) == fold_of(passage_id, num_folds)
    assert 0 <= fold_of(passage_id, num_folds) < num_folds


def test_folds_are_even_and_keep_what_they_always_were():
    ids = [f"{index:016x}" for index in range(5000)]
    folds_N = folds_of(ids, 5)
    assert np.bincount(folds_N).min() > 850
    assert folds_N[:10].tolist() == [fold_of(passage_id, 5) for passage_id in ids[:10]]
    assert folds_N[:10].tolist() == GOLDEN_FOLDS
    assert np.bincount(folds_of([], 5)).size == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_before_they_spread(bad):
    x_ND, y_NE, folds_N = rows()
    y_NE[17, 2] = bad
    folds = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    with pytest.raises(ValueError, match="not finite"):
        folds.add(x_ND, y_NE, folds_N)


def test_rows_that_do_not_match_are_refused():
    x_ND, y_NE, folds_N = rows()
    folds = FoldMoments.empty(NUM_INPUTS, NUM_OUTPUTS, num_folds=NUM_FOLDS)
    with pytest.raises(ValueError, match="equally many"):
        Moments.of_rows(x_ND, y_NE[:-1])
    with pytest.raises(ValueError, match="folds"):
        folds.add(x_ND, y_NE, folds_N - 1)
    with pytest.raises(ValueError, match="folds"):
        folds.add(x_ND, y_NE, folds_N + 1)
