"""Estimates: their values, and intervals that hold what they promise."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from interlingua.core.resampling import Drawn, Draws, Ratio
from interlingua.core.statistics import (
    Estimate,
    benjamini_hochberg,
    clustered_ratio_of_sums,
    dependence,
    estimate_of,
    estimates_of,
    gap_of_units,
    holm,
    mean_of_units,
    ratio_of_sums,
    sign_flip_p,
    wilson_share,
)


def test_wilson_is_the_published_interval() -> None:
    share = wilson_share(5, 10)
    assert share.value == 0.5
    assert (share.low, share.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert share.num_units == 10


@pytest.mark.parametrize("num_hits", [0, 20])
def test_wilson_stays_in_the_unit_interval_at_its_ends(num_hits) -> None:
    share = wilson_share(num_hits, 20)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.high - share.low > 0.1


def test_a_ratio_of_sums_is_weighted_by_its_denominators() -> None:
    estimate = ratio_of_sums(np.array([1.0, 30.0]), np.array([1.0, 10.0]), seed=0)
    assert estimate.value == pytest.approx(31 / 11)
    assert estimate.num_units == 2
    # Two units can be drawn in three ways: either twice, or both.
    assert (estimate.low, estimate.high) == pytest.approx((1.0, 3.0))


def test_a_ratio_that_all_units_share_has_no_doubt() -> None:
    below_N = np.arange(1.0, 20.0)
    estimate = ratio_of_sums(0.25 * below_N, below_N, seed=0)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_seed_alone_decides_the_interval() -> None:
    rng = np.random.default_rng(0)
    top_N, below_N = rng.normal(size=50), rng.uniform(1, 2, size=50)
    first = ratio_of_sums(top_N, below_N, seed=1)
    assert ratio_of_sums(top_N, below_N, seed=1) == first
    other = ratio_of_sums(top_N, below_N, seed=2)
    assert other.value == first.value
    assert (other.low, other.high) != (first.low, first.high)


def test_integers_count_as_numbers() -> None:
    whole = ratio_of_sums(np.array([1, 2, 3]), np.array([2, 2, 2]), seed=0)
    assert whole == ratio_of_sums(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]), seed=0)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    num_held = 0
    for trial in range(300):
        below_N = rng.uniform(0.5, 1.5, size=80)
        top_N = 2.0 * below_N + rng.normal(size=80)
        estimate = ratio_of_sums(top_N, below_N, seed=trial, num_draws=400)
        num_held += estimate.low <= 2.0 <= estimate.high
    # 95 % promised; a bootstrap of 80 units gives a little less
    assert 0.90 <= num_held / 300 <= 0.99


def test_more_units_leave_less_doubt() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for num_units in (50, 800):
        estimate = ratio_of_sums(rng.normal(size=num_units), np.ones(num_units), seed=0)
        widths.append(estimate.high - estimate.low)
    assert widths[0] / widths[1] == pytest.approx(4.0, rel=0.3)


def test_an_estimate_as_metrics_names_its_interval_and_n() -> None:
    estimate = Estimate(value=0.5, low=0.4, high=0.6, num_units=7)
    assert estimate.as_metrics("room/fve") == {
        "room/fve": 0.5,
        "room/fve_low": 0.4,
        "room/fve_high": 0.6,
        "room/fve_n": 7,
    }


def test_a_ratio_has_the_interval_that_scipy_gives_it() -> None:
    rng = np.random.default_rng(0)
    below_N = rng.uniform(0.5, 1.5, size=60)
    top_N = 2.0 * below_N + rng.normal(size=60)
    ours = ratio_of_sums(top_N, below_N, seed=0, num_draws=20_000)
    theirs = stats.bootstrap(
        (top_N, below_N),
        lambda top, below, axis: top.sum(axis=axis) / below.sum(axis=axis),
        paired=True,
        n_resamples=20_000,
        batch=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.02 * (ours.high - ours.low))


def test_rows_of_a_cluster_count_as_their_sums() -> None:
    rng = np.random.default_rng(0)
    clusters_N = np.array(["b", "a", "b", "c", "c", "c", "d"])
    top_N, below_N = rng.normal(size=7), rng.uniform(1, 2, size=7)
    sums = [
        np.array([column[clusters_N == name].sum() for name in "abcd"])
        for column in (top_N, below_N)
    ]
    found = clustered_ratio_of_sums(top_N, below_N, clusters_N, seed=4)
    expected = ratio_of_sums(*sums, seed=4)
    assert found.num_units == expected.num_units == 4
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_draws_in_which_a_number_does_not_exist_are_left_out() -> None:
    """Two of ten passages have rows of the kind that counts: some draws have neither."""
    draws = Draws.of(np.arange(10), seed=0, num_draws=500)
    drawn = draws.ratio(Ratio(np.array([1.0, 4.0]), np.array([1.0, 2.0]), np.array([0, 1])))
    assert 0 < np.isnan(drawn.draws_R).sum() < 250
    estimate = estimate_of(drawn)
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((1.0, 5 / 3, 2.0))
    assert estimate.num_units == 2


def test_few_units_have_students_interval() -> None:
    values_U = np.array([0.71, 0.69, 0.75, 0.66, 0.70])
    low, high = stats.ttest_1samp(values_U, 0.0).confidence_interval(0.95)
    found = mean_of_units(values_U)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-14)
    assert (found.value, found.num_units) == (pytest.approx(0.702), 5)
    assert mean_of_units(np.full(3, 0.5)).high == 0.5
    with pytest.raises(ValueError, match="1 unit"):
        mean_of_units(values_U[:1])


def test_the_gap_of_two_groups_has_welchs_interval() -> None:
    trained_U, held_V = np.array([0.71, 0.69, 0.75, 0.66]), np.array([0.5, 0.63, 0.41])
    test = stats.ttest_ind(trained_U, held_V, equal_var=False)
    low, high = test.confidence_interval(0.95)
    found = gap_of_units(trained_U, held_V)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-14)
    assert found.value == pytest.approx(trained_U.mean() - held_V.mean())
    assert found.num_units == 3
    same = gap_of_units(np.ones(2), np.zeros(3))
    assert (same.low, same.value, same.high) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="group of 1"):
        gap_of_units(trained_U, held_V[:1])


def test_few_units_have_all_their_signs_flipped() -> None:
    differences_U = np.random.default_rng(0).normal(0.6, 1.0, size=9)
    flipped = [abs(np.mean(np.array(s) * differences_U)) for s in product((-1, 1), repeat=9)]
    exact = np.mean(np.array(flipped) >= abs(differences_U.mean()) - 1e-12)
    assert sign_flip_p(differences_U, seed=0) == pytest.approx(exact, abs=1e-15)
    assert sign_flip_p(np.ones(5), seed=0) == 2 / 2**5


def test_many_units_have_some_of_their_signs_flipped() -> None:
    rng = np.random.default_rng(0)
    differences_U = rng.normal(0.15, 1.0, size=200)
    signs_FU = rng.choice([-1.0, 1.0], size=(20_000, 200))
    slow = np.mean(np.abs(signs_FU @ differences_U) >= abs(differences_U.sum()))
    assert sign_flip_p(differences_U, seed=0) == pytest.approx(slow, abs=0.01)
    assert sign_flip_p(differences_U, seed=3) == sign_flip_p(differences_U, seed=3)
    # Never 0: the observed signs are one of the flips.
    assert sign_flip_p(1.0 + differences_U, seed=0) == pytest.approx(2 / 10_000)


def test_holm_rejects_what_his_steps_reject() -> None:
    p_values = {"a": 0.011, "b": 0.04, "c": 0.3, "d": 0.009, "e": 0.02}
    adjusted = holm(p_values)
    assert adjusted == pytest.approx({"d": 0.045, "a": 0.045, "e": 0.06, "b": 0.08, "c": 0.3})
    for cut in np.linspace(0.001, 0.999, 200):
        rejected = set()
        for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
            if p_values[name] > cut / (5 - rank):
                break
            rejected.add(name)
        assert {name for name, p in adjusted.items() if p <= cut} == rejected


def test_benjamini_hochberg_rejects_what_their_steps_reject() -> None:
    p_values = {"a": 0.011, "b": 0.04, "c": 0.3, "d": 0.009, "e": 0.02}
    adjusted = benjamini_hochberg(p_values)
    ordered = sorted(p_values, key=lambda name: p_values[name])
    for cut in np.linspace(0.001, 0.999, 200):
        below = [i for i, name in enumerate(ordered, start=1) if p_values[name] <= cut * i / 5]
        rejected = set(ordered[: max(below, default=0)])
        assert {name for name, p in adjusted.items() if p <= cut} == rejected


def test_dependence_is_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(0)
    clusters_N = np.repeat(np.arange(50), 4)
    values_N = rng.normal(size=50)[clusters_N] + rng.normal(size=200)
    groups = [values_N[clusters_N == cluster] for cluster in range(50)]
    f = stats.f_oneway(*groups).statistic
    correlation = (f - 1) / (f + 3)
    found = dependence(values_N, clusters_N)
    assert found == pytest.approx((correlation, 1 + 3 * correlation), abs=1e-12)
    order_N = rng.permutation(200)
    assert dependence(values_N[order_N], clusters_N[order_N]) == pytest.approx(found)


def test_dependence_needs_rows_within_and_between() -> None:
    for clusters_N in (np.zeros(4), np.arange(4)):
        with pytest.raises(ValueError, match="nothing within or between"):
            dependence(np.arange(4.0), clusters_N)


def test_dependence_knows_unequal_sizes() -> None:
    rng = np.random.default_rng(0)
    clusters_N = np.repeat(np.arange(4000), rng.integers(1, 8, size=4000))
    values_N = rng.normal(size=4000)[clusters_N] + 3**0.5 * rng.normal(size=len(clusters_N))
    assert dependence(values_N, clusters_N).intraclass_correlation == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("num_draws", [1, 2, 41, 2000])
def test_intervals_of_many_numbers_are_those_of_each_to_the_bit(num_draws) -> None:
    draws = Draws.of(np.arange(7), seed=0, num_draws=num_draws)
    rng = np.random.default_rng(num_draws)
    drawn = [
        Drawn(value=0.0, draws_R=rng.standard_normal(num_draws), num_units=7, table=draws)
        for _ in range(300)
    ]
    if num_draws > 2:
        drawn[1].draws_R[::3] = np.nan  # a number that some draws lack
    assert estimates_of(drawn) == [estimate_of(one) for one in drawn]
