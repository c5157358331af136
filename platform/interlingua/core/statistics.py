"""Estimates with their doubt: n, an interval, and what was resampled; tests and their families.

The unit of resampling is one passage: rows of one passage are not independent. What is claimed of
hosts or of training takes hosts or seeds as its units. Knows no model. N rows, U units (V those of
another group), C clusters, R draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from interlingua.core.resampling import NUM_DRAWS, Drawn, Draws, Ratio

CONFIDENCE = 0.95
TAILS = ((1 - CONFIDENCE) / 2, 1 - (1 - CONFIDENCE) / 2)
ESTIMATED_AT_ONCE = 256
NUM_FLIPS = 9999
FLIP_BLOCK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, its interval at CONFIDENCE, and how many units stand behind it."""

    value: float
    low: float
    high: float
    num_units: int

    def as_metrics(self, name: str) -> dict[str, float]:
        """The estimate as flat metrics, for a record."""
        return {
            name: self.value,
            f"{name}_low": self.low,
            f"{name}_high": self.high,
            f"{name}_n": self.num_units,
        }


class Dependence(NamedTuple):
    """The likeness of rows of one unit, and the factor by which it widens a variance."""

    intraclass_correlation: float
    design_effect: float


def estimate_of(drawn: Drawn) -> Estimate:
    """The percentile interval over those draws in which the number exists."""
    # Where a draw took none of the rows that count, the number does not exist: NaN, left out.
    low, high = np.quantile(drawn.draws_R[np.isfinite(drawn.draws_R)], TAILS)
    return Estimate(value=drawn.value, low=float(low), high=float(high), num_units=drawn.num_units)


def estimates_of(drawn: Sequence[Drawn]) -> list[Estimate]:
    """The same of many numbers of one table at once, which is much faster."""
    found: list[Estimate] = []
    for start in range(0, len(drawn), ESTIMATED_AT_ONCE):
        part = drawn[start : start + ESTIMATED_AT_ONCE]
        draws_BR = np.array([one.draws_R for one in part])
        is_whole_B = np.isfinite(draws_BR).all(axis=1)
        draws_BR.sort(axis=1)  # takes a quarter of the time that a partition does
        lows_B, highs_B = (_quantile_of_sorted(draws_BR, tail) for tail in TAILS)
        found += [
            Estimate(value=one.value, low=low, high=high, num_units=one.num_units)
            if is_whole
            else estimate_of(one)
            for one, is_whole, low, high in zip(
                part, is_whole_B, lows_B.tolist(), highs_B.tolist(), strict=True
            )
        ]
    return found


def _quantile_of_sorted(draws_BR: np.ndarray, share: float) -> np.ndarray:
    """[B], to the bit what np.quantile gives of each row."""
    place = share * (draws_BR.shape[1] - 1)
    before = int(place)
    low_B, high_B = draws_BR[:, before], draws_BR[:, min(before + 1, draws_BR.shape[1] - 1)]
    above, step_B = place - before, high_B - low_B
    # From the nearer of the two, as numpy does.
    return low_B + step_B * above if above < 0.5 else high_B - step_B * (1 - above)


def ratio_of_sums(
    numerators_N: np.ndarray,
    denominators_N: np.ndarray,
    *,
    seed: int,
    num_draws: int = NUM_DRAWS,
) -> Estimate:
    """sum / sum over units, with the percentile interval of a bootstrap over units."""
    return clustered_ratio_of_sums(
        numerators_N,
        denominators_N,
        np.arange(len(numerators_N)),
        seed=seed,
        num_draws=num_draws,
    )


def clustered_ratio_of_sums(
    numerators_N: np.ndarray,
    denominators_N: np.ndarray,
    clusters_N: np.ndarray,
    *,
    seed: int,
    num_draws: int = NUM_DRAWS,
) -> Estimate:
    """sum / sum over rows; rows of one cluster (a passage) are resampled together."""
    draws = Draws.of(clusters_N, seed=seed, num_draws=num_draws)
    return estimate_of(draws.ratio(Ratio(numerators_N, denominators_N, clusters_N)))


def wilson_share(num_hits: int, num_units: int) -> Estimate:
    """A share of independent units with Wilson's interval."""
    from scipy import stats  # takes longer to import than a table to make

    interval = stats.binomtest(num_hits, num_units).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(
        value=num_hits / num_units,
        low=float(interval.low),
        high=float(interval.high),
        num_units=num_units,
    )


def mean_of_units(values_U: np.ndarray) -> Estimate:
    """The mean over hosts or seeds with Student's interval, which holds also for few of them."""
    return means_of_units([values_U])[0]


def means_of_units(values_BU: Sequence[np.ndarray]) -> list[Estimate]:
    """The same of several numbers of the same units."""
    # Not a bootstrap: resampling a few units gives intervals that are too narrow.
    _, num_units = np.shape(values_BU)
    if num_units < 2:
        raise ValueError(f"{num_units} unit says nothing of others: show it, without an interval")
    errors_B = np.std(values_BU, axis=1, ddof=1) / np.sqrt(num_units)
    halves_B = special.stdtrit(num_units - 1, (1 + CONFIDENCE) / 2) * errors_B
    return [
        Estimate(value=mean, low=mean - half, high=mean + half, num_units=num_units)
        for mean, half in zip(np.mean(values_BU, axis=1).tolist(), halves_B.tolist(), strict=True)
    ]


def gap_of_units(left_U: np.ndarray, right_V: np.ndarray) -> Estimate:
    """mean(left) - mean(right) of two separate groups of units, with Welch's interval.

    For values of the same units take `mean_of_units(left - right)`, which is paired.
    """
    num_units = min(len(left_U), len(right_V))
    if num_units < 2:
        raise ValueError(f"a group of {num_units} says nothing of others: show its values")
    variances = [np.var(group, ddof=1) / len(group) for group in (left_U, right_V)]
    gap, variance = float(np.mean(left_U) - np.mean(right_V)), float(sum(variances))
    half = 0.0
    if variance > 0:
        # Welch and Satterthwaite: the two groups may vary differently.
        degrees = variance**2 / (
            variances[0] ** 2 / (len(left_U) - 1) + variances[1] ** 2 / (len(right_V) - 1)
        )
        half = float(special.stdtrit(degrees, (1 + CONFIDENCE) / 2) * np.sqrt(variance))
    return Estimate(value=gap, low=gap - half, high=gap + half, num_units=num_units)


def sign_flip_p(differences_U: np.ndarray, *, seed: int, num_flips: int = NUM_FLIPS) -> float:
    """Two-sided p that paired differences of units are as likely positive as negative.

    Exact where all flips are at most `num_flips`; otherwise (1 + #) / (1 + num_flips). For ratios
    with common denominators, the units' sums of numerator differences are the differences.
    """
    from scipy import stats  # takes longer to import than a table to make

    found = stats.permutation_test(
        (np.asarray(differences_U, dtype=float),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=num_flips,
        batch=FLIP_BLOCK,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p adjusted by Holm: the chance of any false finding in the family stays below a cut."""
    names = sorted(p_values, key=lambda name: p_values[name])
    # The smallest p counts for all tests, the next for one less; the running maximum keeps a larger
    # p from being adjusted below a smaller one.
    scaled = [(len(names) - rank) * p_values[name] for rank, name in enumerate(names)]
    return dict(zip(names, np.minimum(np.maximum.accumulate(scaled), 1).tolist(), strict=True))


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """p adjusted by Benjamini and Hochberg: the share of false findings stays below a cut."""
    from scipy import stats  # takes longer to import than a table to make

    adjusted = stats.false_discovery_control(list(p_values.values()), method="bh")
    return dict(zip(p_values, adjusted.tolist(), strict=True))


def dependence(values_N: np.ndarray, clusters_N: np.ndarray) -> Dependence:
    """The intraclass correlation by analysis of variance; why rows must not count as units."""
    _, cluster_N, sizes_C = np.unique(clusters_N, return_inverse=True, return_counts=True)
    num_rows, num_clusters = len(values_N), len(sizes_C)
    if not 1 < num_clusters < num_rows:
        raise ValueError(f"{num_rows} rows in {num_clusters} clusters: nothing within or between")
    mean_C = np.bincount(cluster_N, weights=values_N) / sizes_C
    between = np.sum(sizes_C * (mean_C - np.mean(values_N)) ** 2) / (num_clusters - 1)
    within = np.sum((values_N - mean_C[cluster_N]) ** 2) / (num_rows - num_clusters)
    # The mean size of a cluster, corrected for sizes that differ.
    size = (num_rows - np.sum(sizes_C**2) / num_rows) / (num_clusters - 1)
    # Below 0 where rows of one cluster are less alike than any two rows.
    correlation = float((between - within) / (between + (size - 1) * within))
    return Dependence(correlation, float(1 + (size - 1) * correlation))
