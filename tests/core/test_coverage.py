"""Intervals hold what they promise on data that are nested as ours are; slow, by simulation.

One draw serves all simulations, as it serves all metrics of a table.
"""

import numpy as np
import pytest

from interlingua.core.resampling import Drawn, Draws, Ratio, difference
from interlingua.core.statistics import estimate_of, mean_of_units

NUM_SIMULATIONS, NUM_PASSAGES, ROWS_EACH, NUM_SEEDS = 2000, 200, 5, 5
PASSAGES_N = np.repeat(np.arange(NUM_PASSAGES), ROWS_EACH)
TRUE_SHARE, TRUE_GAP = 0.4, 0.02

pytestmark = pytest.mark.slow


def simulated_errors(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors and variances of rows [S, N], alike within a passage: their ratio is TRUE_SHARE."""

    def nested(passage_scale: float, row_scale: float) -> np.ndarray:
        shape = (NUM_SIMULATIONS, NUM_PASSAGES)
        of_passage_SP = rng.gamma(4, passage_scale / 4, size=shape)
        of_row_SN = rng.gamma(4, row_scale / 4, size=(NUM_SIMULATIONS, len(PASSAGES_N)))
        return of_passage_SP[:, PASSAGES_N] + of_row_SN

    variances_SN = nested(0.6, 0.4)
    return TRUE_SHARE * (0.5 * variances_SN + 0.5 * nested(0.6, 0.4)), variances_SN


def drawn_in(
    draws: Draws, units_N: np.ndarray, above_SN: np.ndarray, below_SN: np.ndarray
) -> list[Drawn]:
    """The ratio of every simulation, all in the same draws."""
    pairs = enumerate(zip(above_SN, below_SN, strict=True))
    ratios = {str(place): Ratio(above_N, below_N, units_N) for place, (above_N, below_N) in pairs}
    return list(draws.ratios(ratios).values())


def drawn_by(units_N: np.ndarray, above_SN: np.ndarray, below_SN: np.ndarray) -> list[Drawn]:
    """The ratio of every simulation, where these units are drawn."""
    return drawn_in(Draws.of(units_N, seed=0), units_N, above_SN, below_SN)


def coverage(estimates, truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(np.mean([estimate.low <= truth <= estimate.high for estimate in estimates]))


def test_the_clustered_interval_covers_and_the_row_wise_one_does_not() -> None:
    above_SN, below_SN = simulated_errors(np.random.default_rng(0))
    clustered = map(estimate_of, drawn_by(PASSAGES_N, above_SN, below_SN))
    assert 0.93 <= coverage(clustered, TRUE_SHARE) <= 0.97
    row_wise = map(estimate_of, drawn_by(np.arange(len(PASSAGES_N)), above_SN, below_SN))
    assert coverage(row_wise, TRUE_SHARE) < 0.85


def test_the_paired_difference_of_two_predictors_covers() -> None:
    rng = np.random.default_rng(1)
    above_SN, below_SN = simulated_errors(rng)
    of_passage_SP = rng.normal(TRUE_GAP, 0.1, size=(NUM_SIMULATIONS, NUM_PASSAGES))
    other_SN = above_SN + of_passage_SP[:, PASSAGES_N]
    draws = Draws.of(PASSAGES_N, seed=0)
    predictors = [drawn_in(draws, PASSAGES_N, one_SN, below_SN) for one_SN in (other_SN, above_SN)]
    gaps = [estimate_of(difference(*pair)) for pair in zip(*predictors, strict=True)]
    assert 0.93 <= coverage(gaps, TRUE_GAP) <= 0.97


def test_students_interval_over_a_few_seeds_covers_and_their_bootstrap_does_not() -> None:
    means_SU = np.random.default_rng(2).normal(0.7, 0.05, size=(NUM_SIMULATIONS, NUM_SEEDS))
    assert 0.93 <= coverage(map(mean_of_units, means_SU), 0.7) <= 0.97
    bootstrap = drawn_by(np.arange(NUM_SEEDS), means_SU, np.ones_like(means_SU))
    assert coverage(map(estimate_of, bootstrap), 0.7) < 0.9
