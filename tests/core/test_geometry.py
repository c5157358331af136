import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from interlingua.core.geometry import (
    NonFiniteRows,
    cosine,
    has_direction,
    near_one,
    nmse,
    norms,
    rescale,
    unit,
)

ROWS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.floats(-1e6, 1e6, width=32),
)
PAIRS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(
        *[hnp.arrays(np.float32, shape, elements=st.floats(-9, 9, width=32))] * 2
    )
)


@given(ROWS)
def test_rows_with_a_direction_come_to_the_norm_asked_for(x_ND):
    keep_N = has_direction(x_ND)
    np.testing.assert_allclose(norms(unit(x_ND))[keep_N], 1.0, rtol=1e-12)
    np.testing.assert_allclose(norms(rescale(x_ND))[keep_N], np.sqrt(x_ND.shape[1]), rtol=1e-12)


@given(PAIRS)
def test_nmse_is_the_squared_distance_of_rescaled_rows_a_dimension(pair):
    predicted_ND, target_ND = pair
    keep_N = has_direction(predicted_ND) & has_direction(target_ND)
    difference_ND = rescale(predicted_ND) - rescale(target_ND)
    expected_N = (difference_ND**2).sum(axis=1) / target_ND.shape[1]
    np.testing.assert_allclose(
        nmse(predicted_ND, target_ND)[keep_N], expected_N[keep_N], atol=1e-13
    )
    assert (nmse(predicted_ND, target_ND) >= 0).all()
    assert (nmse(predicted_ND, target_ND) <= 4).all()


def test_a_cosine_sees_directions_only():
    rng = np.random.default_rng(0)
    left_ND, right_ND = rng.standard_normal((2, 50, 16))
    scales_N1 = rng.uniform(0.01, 900, (50, 1))
    np.testing.assert_allclose(cosine(scales_N1 * left_ND, right_ND), cosine(left_ND, right_ND))
    np.testing.assert_allclose(cosine(left_ND, -left_ND), -1.0)


def test_norms_of_large_fp32_rows_do_not_overflow():
    x_ND = np.full((1, 4), 3e38, dtype=np.float32)
    np.testing.assert_allclose(norms(x_ND), 2 * np.float64(np.float32(3e38)), rtol=1e-15)
    np.testing.assert_allclose(unit(x_ND), 0.5)


def test_a_zero_row_stays_zero_and_scores_as_unrelated():
    zero_ND, target_ND = np.zeros((1, 3)), np.ones((1, 3))
    np.testing.assert_array_equal(rescale(zero_ND), zero_ND)
    assert cosine(zero_ND, target_ND) == 0
    assert nmse(zero_ND, target_ND) == 2
    assert not has_direction(zero_ND).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_found_and_refused(bad):
    x_ND = np.ones((3, 4))
    x_ND[1, 2] = bad
    assert has_direction(x_ND).tolist() == [True, False, True]
    with pytest.raises(NonFiniteRows, match="1 of 3 rows"):
        unit(x_ND)
    with pytest.raises(NonFiniteRows):
        nmse(np.ones((3, 4)), x_ND)


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324, 1.0])
def test_near_one_keeps_the_digits_and_makes_squares_safe(size: float) -> None:
    x_ND = np.array([[size, -size, 0.0], [0.0, 0.0, 0.0], [0.3, 0.7, -12.0]])
    near_ND = near_one(x_ND)
    assert (np.abs(near_ND[[0, 2]]).max(axis=1) >= 0.5).all()
    assert (np.abs(near_ND).max(axis=1) < 1).all()
    assert (near_ND[1] == 0).all()
    assert (np.ldexp(near_ND, np.frexp(np.abs(x_ND).max(axis=1))[1][:, None]) == x_ND).all()
