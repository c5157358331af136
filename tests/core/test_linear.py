import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import Ridge

from interlingua.core.linear import fit, fold_errors, solve
from interlingua.core.moments import FoldMoments, Moments

STRENGTHS = [0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0]


def rows(num_rows, num_inputs, num_outputs, *, seed=0, num_outliers=3, noise=0.3):
    """fp32 rows with a power-law spectrum, outlier dimensions x500, and means away from zero."""
    world = np.random.default_rng([seed, num_inputs])
    amplitude_D = 1 / np.arange(1, num_inputs + 1)
    turn_DD = np.linalg.qr(world.standard_normal((num_inputs, num_inputs)))[0]
    weight_DE = world.standard_normal((num_inputs, num_outputs))
    rng = np.random.default_rng([seed, num_inputs, num_rows])
    latent_ND = rng.standard_normal((num_rows, num_inputs)) * amplitude_D
    x_ND = latent_ND @ turn_DD + 0.5
    x_ND[:, :num_outliers] *= 500
    y_NE = latent_ND @ weight_DE + noise * rng.standard_normal((num_rows, num_outputs)) - 2
    return x_ND.astype(np.float32), y_NE.astype(np.float32)


def folded(x_ND, y_NE, folds_N, block=97):
    folds = FoldMoments.empty(x_ND.shape[1], y_NE.shape[1], num_folds=int(folds_N.max()) + 1)
    for start in range(0, len(x_ND), block):
        part = slice(start, start + block)
        folds.add(x_ND[part], y_NE[part], folds_N[part])
    return folds


def gelsy(x_ND, y_NE, *, centred):
    """scipy's least-norm least squares on fp64 rows, as a function of new rows."""
    x_ND, y_NE = x_ND.astype(np.float64), y_NE.astype(np.float64)
    mean_x_D = x_ND.mean(axis=0) if centred else np.zeros(x_ND.shape[1])
    mean_y_E = y_NE.mean(axis=0) if centred else np.zeros(y_NE.shape[1])
    weight_DE = linalg.lstsq(x_ND - mean_x_D, y_NE - mean_y_E, cond=1e-13, lapack_driver="gelsy")[0]
    return lambda new_ND: (new_ND - mean_x_D) @ weight_DE + mean_y_E


def fve(predicted_NE, y_NE):
    y_NE = y_NE.astype(np.float64)
    return 1 - ((y_NE - predicted_NE) ** 2).sum() / ((y_NE - y_NE.mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(
    ("num_rows", "num_inputs"), [(2000, 96), (300, 96), (100, 96), (96, 96), (60, 96), (9, 96)]
)
def test_ridge_zero_predicts_new_rows_like_gelsy(num_rows, num_inputs, centred):
    x_ND, y_NE = rows(num_rows, num_inputs, 128)
    new_x_ND, new_y_NE = rows(1000, num_inputs, 128)
    ours = solve(Moments.of_rows(x_ND, y_NE), ridge=0.0, centred=centred)
    expected = fve(gelsy(x_ND, y_NE, centred=centred)(new_x_ND), new_y_NE)
    assert fve(ours(new_x_ND), new_y_NE) == pytest.approx(expected, abs=1e-6)
    assert ours.report.is_rank_deficient == (num_rows - centred < num_inputs)
    assert ours.report.has_few_rows == (num_rows < 5 * num_inputs)
    assert ours.report.effective_rank == min(num_rows - centred, num_inputs)


@pytest.mark.parametrize("num_rows", [20, 64, 65])
def test_too_few_rows_give_the_weights_of_least_norm(num_rows):
    x_ND, y_NE = rows(num_rows, 64, 32)
    ours = solve(Moments.of_rows(x_ND, y_NE), ridge=0.0, centred=True)
    x_ND, y_NE = x_ND.astype(np.float64), y_NE.astype(np.float64)
    expected_DE = np.linalg.lstsq(x_ND - x_ND.mean(axis=0), y_NE - y_NE.mean(axis=0), rcond=1e-13)[
        0
    ]
    tolerance = 1e-6 * np.abs(expected_DE).max()
    np.testing.assert_allclose(ours.weight_ED.T, expected_DE, atol=tolerance)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("strength", [1e-6, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("num_rows", "num_inputs"), [(400, 24), (30, 24), (10, 24), (50, 1)])
def test_a_ridge_strength_is_sklearns_alpha_over_the_mean_diagonal(
    num_rows, num_inputs, strength, centred
):
    x_ND, y_NE = rows(num_rows, num_inputs, 5, num_outliers=0)
    origin_D = x_ND.mean(axis=0, dtype=np.float64) if centred else 0
    alpha = strength * ((x_ND - origin_D) ** 2).sum(dtype=np.float64) / num_inputs
    peer = Ridge(alpha=alpha, fit_intercept=centred).fit(x_ND.astype(np.float64), y_NE)
    ours = solve(Moments.of_rows(x_ND, y_NE), ridge=strength, centred=centred)
    np.testing.assert_allclose(ours.weight_ED, peer.coef_, atol=1e-8 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(ours(x_ND), peer.predict(x_ND.astype(np.float64)), atol=1e-6)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("num_rows", [600, 45, 30])
def test_fold_errors_are_those_of_refits_without_the_fold(num_rows, centred):
    x_ND, y_NE = rows(num_rows, 32, 6)
    folds_N = np.arange(num_rows) // 7 % 4
    expected_S = []
    for strength in STRENGTHS:
        squared = 0.0
        for fold in range(4):
            held_N = folds_N == fold
            moments = Moments.of_rows(x_ND[~held_N], y_NE[~held_N])
            predicted_NE = solve(moments, ridge=strength, centred=centred)(x_ND[held_N])
            squared += ((y_NE[held_N] - predicted_NE) ** 2).sum()
        expected_S.append(squared / num_rows)
    errors_S = fold_errors(folded(x_ND, y_NE, folds_N), strengths=STRENGTHS, centred=centred)
    np.testing.assert_allclose(errors_S, expected_S, rtol=1e-6)


def test_the_strength_with_the_least_fold_error_is_fitted_on_all_rows():
    x_ND, y_NE = rows(60, 40, 8, noise=2.0)
    folds = folded(x_ND, y_NE, np.arange(60) % 5)
    chosen = fit(folds, strengths=STRENGTHS, centred=True)
    errors = chosen.report.fold_errors
    assert list(errors) == STRENGTHS
    assert chosen.report.ridge == min(errors, key=errors.__getitem__) > 0
    again = solve(Moments.of_rows(x_ND, y_NE), ridge=chosen.report.ridge, centred=True)
    np.testing.assert_allclose(chosen.weight_ED, again.weight_ED, rtol=1e-6, atol=1e-12)
    assert fit(folds, strengths=[0.0], centred=True).report.fold_errors == {}


def test_folds_by_passage_are_not_fooled_by_rows_that_repeat():
    x_ND, y_NE = (np.repeat(part, 4, axis=0) for part in rows(50, 40, 8, noise=2.0))
    by_passage = folded(x_ND, y_NE, np.arange(200) // 4 % 5)
    by_row = folded(x_ND, y_NE, np.arange(200) % 5)
    grouped = fold_errors(by_passage, strengths=[0.0], centred=True)
    leaking = fold_errors(by_row, strengths=[0.0], centred=True)
    assert leaking[0] < 0.2 * grouped[0]


def test_effective_rank_is_the_trace_of_the_hat_matrix():
    x_ND, y_NE = rows(300, 24, 3)
    report = solve(Moments.of_rows(x_ND, y_NE), ridge=1e-5, centred=True).report
    about_ND = x_ND - x_ND.mean(axis=0, dtype=np.float64)
    values_D = np.linalg.svd(about_ND, compute_uv=False) ** 2
    expected = (values_D / (values_D + 1e-5 * values_D.mean())).sum()
    assert report.effective_rank == pytest.approx(expected, rel=1e-9)
    assert 3 < report.effective_rank < 23


def test_the_condition_number_ignores_the_scale_of_columns():
    x_ND, y_NE = rows(300, 24, 3)
    report = solve(Moments.of_rows(x_ND, y_NE), ridge=0.0, centred=True).report
    correlation_DD = np.corrcoef(x_ND.T.astype(np.float64))
    assert report.condition_number == pytest.approx(np.linalg.cond(correlation_DD, 1), rel=0.5)
    stretched_ND = x_ND * np.exp2(np.arange(24) - 12).astype(np.float32)
    stretched = solve(Moments.of_rows(stretched_ND, y_NE), ridge=0.0, centred=True)
    assert stretched.report.condition_number == pytest.approx(report.condition_number, rel=1e-6)


def test_constant_and_repeated_columns_change_no_prediction():
    x_ND, y_NE = rows(400, 12, 5)
    new_ND, _ = rows(50, 12, 5)
    plain = solve(Moments.of_rows(x_ND, y_NE), ridge=0.0, centred=True)

    def widened(part_ND):
        constant_N1 = np.full((len(part_ND), 1), 0.1)
        return np.hstack([constant_N1, part_ND.astype(np.float64), part_ND[:, 4:6], constant_N1])

    folds = folded(widened(x_ND), y_NE, np.arange(400) % 3)
    wide = fit(folds, strengths=[0.0], centred=True)
    np.testing.assert_allclose(wide(widened(new_ND)), plain(new_ND), atol=1e-8)
    np.testing.assert_allclose(wide.weight_ED[:, [0, -1]], 0, atol=1e-9)
    assert wide.report.is_rank_deficient
    assert wide.report.effective_rank == 12


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("strengths", [[0.0], [1e-3], STRENGTHS])
def test_rows_without_any_variation_predict_the_mean(strengths, centred):
    _, y_NE = rows(40, 6, 3)
    x_ND = np.zeros((40, 6), dtype=np.float32)
    flat = fit(folded(x_ND, y_NE, np.arange(40) % 2), strengths=strengths, centred=centred)
    assert not flat.weight_ED.any()
    mean_E = y_NE.mean(axis=0, dtype=np.float64) if centred else np.zeros(3)
    np.testing.assert_allclose(flat(x_ND), np.tile(mean_E, (40, 1)), rtol=1e-12)
    assert flat.report.effective_rank == pytest.approx(0, abs=1e-9)


@given(
    num_rows=st.integers(2, 30),
    num_inputs=st.integers(1, 12),
    rank=st.integers(1, 12),
    scale=st.sampled_from([1e-20, 1e-3, 1.0, 500.0, 1e15]),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    centred=st.booleans(),
)
def test_no_rows_make_it_anything_but_finite(num_rows, num_inputs, rank, scale, offset, centred):
    rng = np.random.default_rng([num_rows, num_inputs, rank])
    x_ND = rng.standard_normal((num_rows, rank)) @ rng.standard_normal((rank, num_inputs)) + offset
    x_ND[:, 0] *= scale
    y_NE = rng.standard_normal((num_rows, 2))
    folds = folded(x_ND.astype(np.float32), y_NE, np.arange(num_rows) % 2)
    for strengths in (STRENGTHS, [0.0], [1e-14]):
        found = fit(folds, strengths=strengths, centred=centred)
        assert np.isfinite(found.weight_ED).all()
        assert np.isfinite(found.offset_E).all()
        assert math.isfinite(found.report.condition_number)
        assert -1e-6 <= found.report.effective_rank <= num_inputs + 1e-6
        assert all(math.isfinite(error) for error in found.report.fold_errors.values())


def test_requests_that_make_no_sense_are_refused():
    x_ND, y_NE = rows(20, 4, 2)
    one_fold = folded(x_ND, y_NE, np.zeros(20, dtype=int))
    with pytest.raises(ValueError, match="two folds"):
        fit(one_fold, strengths=STRENGTHS, centred=True)
    with pytest.raises(ValueError, match="at least one strength"):
        fit(one_fold, strengths=[], centred=True)
    with pytest.raises(ValueError, match="ridge is -1"):
        fit(one_fold, strengths=[-1.0], centred=True)
    with pytest.raises(ValueError, match="ridge is nan"):
        fit(one_fold, strengths=[math.nan], centred=True)
    with pytest.raises(ValueError, match="no rows"):
        solve(Moments.empty(4, 2), ridge=0.0, centred=True)
