"""Estimates with their doubt: n, an interval, and what was resampled. Knows no model.

The unit of resampling is one passage: rows of one passage are not independent.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


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


def wilson_share(num_hits: int, num_units: int) -> Estimate:
    """A share of independent units with Wilson's interval."""
    interval = stats.binomtest(num_hits, num_units).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(
        value=num_hits / num_units,
        low=float(interval.low),
        high=float(interval.high),
        num_units=num_units,
    )


def ratio_of_sums(
    numerators_N: np.ndarray, denominators_N: np.ndarray, *, seed: int, num_draws: int = 2000
) -> Estimate:
    """sum / sum over units, with the percentile interval of a bootstrap over units."""
    num_units = len(numerators_N)
    rng = np.random.default_rng(seed)
    counts_RN = rng.multinomial(num_units, np.full(num_units, 1 / num_units), size=num_draws)
    draws_R = (counts_RN @ numerators_N) / (counts_RN @ denominators_N)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws_R, [tail, 1 - tail])
    return Estimate(
        value=float(numerators_N.sum() / denominators_N.sum()),
        low=float(low),
        high=float(high),
        num_units=num_units,
    )


def clustered_ratio_of_sums(
    numerators_N: np.ndarray,
    denominators_N: np.ndarray,
    clusters_N: np.ndarray,
    *,
    seed: int,
    num_draws: int = 2000,
) -> Estimate:
    """sum / sum over rows; rows of one cluster (a passage) are resampled together."""
    _, cluster_N = np.unique(clusters_N, return_inverse=True)
    return ratio_of_sums(
        np.bincount(cluster_N, weights=numerators_N),
        np.bincount(cluster_N, weights=denominators_N),
        seed=seed,
        num_draws=num_draws,
    )
