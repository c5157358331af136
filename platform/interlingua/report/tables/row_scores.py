"""The score of single rows, of which an FVE is the mean. Knows no host but the rows' own."""

import numpy as np

from interlingua.store.rows.scored import Scored


def row_fve(rows: Scored) -> np.ndarray:
    """1 - NMSE / mean own variance, of the rows of one host and predictor."""
    # One denominator for all rows: by its own variance a row near the mean vector would count for
    # more than any other, and the mean of rows would be no ratio of sums.
    return np.asarray(1 - rows["nmse"] / rows["own_variance"].mean())
