"""How far an activation is from those that the maps were fitted on. Knows no text and no file.

An AV makes a fluent text of any vector. Where the vector is unlike all that was learned from, the
text is about something else: only a distance can say so.

n is n(h), an activation at the norm sqrt(D); N rows, Q quantiles. The distance is Mahalanobis':
the mean square of the coordinates of n less its mean, each in units of its own spread.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from interlingua.core.moments import Block, FoldMoments, Moments

UNLIKE = 0.99  # of the rows of the fit are nearer
NUM_QUANTILES = 1001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Familiarity:
    """The spread of a host's activations, and the distances of rows that it was not fitted on."""

    mean_D: np.ndarray
    factor_DD: np.ndarray  # lower triangle L of the covariance L L^T
    distances_Q: np.ndarray  # ascending quantiles

    def distance(self, n_ND: np.ndarray) -> np.ndarray:
        """[N]: about 1 for a typical row, larger for a row that is further away."""
        whitened_DN = solve_triangular(self.factor_DD, (n_ND - self.mean_D).T, lower=True)
        return np.asarray(np.square(whitened_DN).mean(axis=0))

    def share_nearer(self, n_ND: np.ndarray) -> np.ndarray:
        """[N]: the share of the rows of the fit that are nearer to its mean than this one is."""
        places_N = np.searchsorted(self.distances_Q, self.distance(n_ND))
        return np.asarray(places_N / len(self.distances_Q))


def fit_familiarity(blocks: Callable[[], Iterable[Block]], *, num_folds: int) -> Familiarity | None:
    """The spread over all rows; every row's distance is by the rows of the other folds.

    x of a block is n(h). `blocks` is gone through twice: rows are not held. None where one fold
    alone has rows: there is nothing to measure a distance by.
    """
    folds = FoldMoments.of_blocks(blocks(), num_folds=num_folds)
    if folds.num_occupied < 2:
        return None
    unmeasured_Q = np.zeros(0)
    others = [_spread(folds.without(fold), unmeasured_Q) for fold in range(num_folds)]
    distances: list[np.ndarray] = []
    for n_ND, _, fold_N in blocks():
        for fold in np.unique(fold_N):
            distances.append(others[fold].distance(n_ND[fold_N == fold]))
    levels_Q = np.linspace(0, 1, NUM_QUANTILES)
    return _spread(folds.total(), np.quantile(np.concatenate(distances), levels_Q))


def _spread(moments: Moments, distances_Q: np.ndarray) -> Familiarity:
    covariance_DD = moments.xx_DD / max(1, moments.num_rows - 1)
    width = len(covariance_DD)
    # Towards the diagonal, the more so the fewer the rows: of fewer than D the covariance is
    # singular, and a row off their plane would be infinitely far.
    share = width / (width + moments.num_rows)
    variances_D = np.diag(covariance_DD).copy()
    floor = max(float(variances_D.max()) * 1e-12, np.finfo(float).tiny)
    shrunk_DD = (1 - share) * covariance_DD
    shrunk_DD[np.diag_indices(width)] = variances_D + floor
    return Familiarity(
        mean_D=moments.mean_x_D,
        factor_DD=np.linalg.cholesky(shrunk_DD),
        distances_Q=distances_Q,
    )
