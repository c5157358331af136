"""Estimates: their values, and intervals that hold what they promise."""

import numpy as np
import pytest

from interlingua.core.statistics import Estimate, ratio_of_sums, wilson_share


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
