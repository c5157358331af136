"""Scores of predicted activations against the true ones: per row first, sets as ratios of row sums.

Every fraction of variance explained (FVE) is 1 - sum(errors) / sum(variances), and its name says
which pair of columns it takes; all are in units of NMSE. Variances are taken about the mean of the
whole set, also in resampled draws, which is off by one part in the number of passages. Knows no
model, no host and no file.

p is a prediction, g its target; u(x) is x at the norm 1, n(x) at the norm sqrt(d). N rows, D = d
their width, C categories, M candidates. docs/numbers.md says what each FVE means.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from interlingua.core.geometry import has_direction, unit
from interlingua.core.resampling import Drawn, Draws, Ratio, combined
from interlingua.core.statistics import Estimate, estimate_of

# name: (errors, variances). Two columns are the caller's: `train_variance`, one number in every
# row, is `mean_variance` of the `fit` rows; `category_variance` is the function of that name.
FVE_COLUMNS = {
    # No constant is above 0: with R = ||mean u(g)|| it costs at least 2 (1 - R) a row, and the
    # variance is 1 - R^2, which is never more.
    "fve_centred_own": ("nmse", "own_variance"),
    "fve_centred_train": ("nmse", "train_variance"),
    "fve_centred_category": ("nmse", "category_variance"),
    "fve_linear_own": ("linear_error", "own_variance"),
    "fve_mean_direction": ("nmse", "mean_direction_nmse"),
    # Published as FVE_pipeline_meannorm; far above 0 for a constant where the mean is large.
    "fve_uncentred": ("uncentred_error", "uncentred_variance"),
}
LEAST_VARIANCE = 1e-12
RETRIEVAL_BLOCK = 1024


class RowScores(NamedTuple):
    """One number a row and column; `_asdict` gives the table that is recorded.

    `linear_error`: ||p - n(g)||^2 / d, p as it is. `own_variance`: ||n(g) - mean n(g)||^2 / d.
    `mean_direction_nmse`: the NMSE of predicting the mean direction. `uncentred_*`: squares of
    n(g) - n(p) and of n(g) about their one scalar mean over all rows and dimensions.
    """

    cos: np.ndarray
    nmse: np.ndarray
    linear_error: np.ndarray
    own_variance: np.ndarray
    mean_direction_nmse: np.ndarray
    uncentred_error: np.ndarray
    uncentred_variance: np.ndarray


def score_rows(predicted_ND: np.ndarray, target_ND: np.ndarray) -> RowScores:
    """The scores of predictions made in the units of n(target), not renormalised."""
    num_bad = int(np.count_nonzero(~has_direction(target_ND)))
    if num_bad:
        raise ValueError(f"{num_bad} targets are zero or not finite; drop and count them")
    # From here on targets are u(g): squares of them are in units of NMSE, without a division by d.
    target_ND, direction_ND = unit(target_ND), unit(predicted_ND)
    cos_N = np.clip(np.einsum("nd,nd->n", direction_ND, target_ND), -1.0, 1.0)
    mean_direction_D = unit(target_ND.mean(axis=0, keepdims=True))[0]
    return RowScores(
        cos=cos_N,
        nmse=2 * (1 - cos_N),
        # p is in the units of n(g), whose norm is sqrt(d): its length counts here, and only here.
        linear_error=_squares(predicted_ND / np.sqrt(target_ND.shape[1]) - target_ND),
        # About the mean vector, which is shorter than 1; `mean_direction_nmse` scales it to 1.
        own_variance=_squares(target_ND - target_ND.mean(axis=0)),
        mean_direction_nmse=2 * (1 - target_ND @ mean_direction_D),
        uncentred_error=_squares_about_scalar_mean(target_ND - direction_ND),
        uncentred_variance=_squares_about_scalar_mean(target_ND),
    )


def constant_scores(mean_D: np.ndarray, target_ND: np.ndarray) -> RowScores:
    """The scores of predicting one vector, the mean n(h) of the `fit` rows, for every target."""
    return score_rows(np.broadcast_to(mean_D, target_ND.shape), target_ND)


def mean_variance(target_ND: np.ndarray) -> float:
    """Var = 1 - ||mean u(g)||^2: the mean squared distance of directions to their mean vector."""
    direction_ND = unit(target_ND)
    return float(_squares(direction_ND - direction_ND.mean(axis=0)).mean())


def category_variance(target_ND: np.ndarray, categories_N: np.ndarray) -> np.ndarray:
    """The squared distance of every row's direction to the mean of its category.

    A row that is alone in its category has none: it adds to the errors of an FVE only.
    """
    _, category_N, sizes_C = np.unique(categories_N, return_inverse=True, return_counts=True)
    direction_ND = unit(target_ND)
    mean_CD = np.zeros((len(sizes_C), target_ND.shape[1]))
    # add.at: with += a category that has several rows would be added once, in silence.
    np.add.at(mean_CD, category_N, direction_ND)
    mean_CD /= sizes_C[:, None]
    return _squares(direction_ND - mean_CD[category_N])


def fve_values(columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Every FVE whose columns are there, over all rows."""
    return {
        name: float(1 - errors_N.sum() / variances_N.sum())
        for name, (errors_N, variances_N) in _pairs(columns).items()
    }


def fve_drawn(
    columns: Mapping[str, np.ndarray], passages_N: np.ndarray, draws: Draws
) -> dict[str, Drawn]:
    """Every FVE whose columns are there in the draws of a table, to compare it within the table."""
    unexplained = draws.ratios(unexplained_ratios(columns, passages_N))
    return {name: explained(drawn) for name, drawn in unexplained.items()}


def unexplained_ratios(
    columns: Mapping[str, np.ndarray], passages_N: np.ndarray
) -> dict[str, Ratio]:
    """What every FVE whose columns are there lacks to 1, by its name."""
    return {
        name: Ratio(errors_N, variances_N, passages_N)
        for name, (errors_N, variances_N) in _pairs(columns).items()
    }


def explained(unexplained: Drawn) -> Drawn:
    """The share of variance that is not the unexplained one."""
    return combined(lambda share: 1 - share, unexplained)


def fve_estimates(
    columns: Mapping[str, np.ndarray], passages_N: np.ndarray, *, seed: int
) -> dict[str, Estimate]:
    """Every FVE whose columns are there, with an interval over passages."""
    drawn = fve_drawn(columns, passages_N, Draws.of(passages_N, seed=seed))
    return {name: estimate_of(one) for name, one in drawn.items()}


def row_shares(
    columns: Mapping[str, np.ndarray], passages_N: np.ndarray, draws: Draws
) -> dict[str, Drawn]:
    """Shares of rows whose own 1 - nmse / train_variance is above 0.5, and below 0."""
    return draws.ratios(row_share_ratios(columns, passages_N))


def row_share_ratios(columns: Mapping[str, np.ndarray], passages_N: np.ndarray) -> dict[str, Ratio]:
    """The same before they are drawn."""
    fve_N = 1 - columns["nmse"] / columns["train_variance"]
    shares = {"share_above_half": fve_N > 0.5, "share_below_zero": fve_N < 0}
    ones_N = np.ones(len(fve_N))
    return {name: Ratio(is_so_N, ones_N, passages_N) for name, is_so_N in shares.items()}


def best_constant(candidates_MD: np.ndarray, target_ND: np.ndarray) -> np.ndarray:
    """The candidate with the least mean NMSE against all targets."""
    # The mean of 2 (1 - cos) over targets is linear in u(g): the mean of u(g) stands for them all.
    cos_M = unit(candidates_MD) @ unit(target_ND).mean(axis=0)
    return np.asarray(candidates_MD[int(np.argmax(cos_M))])


def shuffled_fve_centred(predicted_ND: np.ndarray, target_ND: np.ndarray) -> float:
    """`fve_centred_own` to expect when predictions and targets are paired independently.

    For directions this is -(Var_pred + ||mean u(p) - mean u(g)||^2) / Var_own. A calibrated
    predictor has about minus its own FVE; near 0 means that the predictions collapsed.
    """
    mean_cos = unit(predicted_ND).mean(axis=0) @ unit(target_ND).mean(axis=0)
    return float(1 - 2 * (1 - mean_cos) / mean_variance(target_ND))


def derangement(groups_N: np.ndarray, *, seed: int) -> np.ndarray:
    """A random permutation of rows that gives no row a row of its own group.

    A group is a document, or a passage where that is all of its document.
    `predicted_ND[derangement(documents_N, seed=0)]` are wrong predictions of the right kind.
    """
    _, group_N, sizes_G = np.unique(groups_N, return_inverse=True, return_counts=True)
    if 2 * sizes_G.max() > len(group_N):
        raise ValueError(
            f"one document has {sizes_G.max()} of {len(group_N)} rows: every pairing repeats it; "
            "evaluate rows of more documents"
        )
    rng = np.random.default_rng(seed)
    other_N = rng.permutation(len(group_N))
    for row in np.flatnonzero(group_N[other_N] == group_N):
        own = group_N[row]
        if group_N[other_N[row]] != own:
            continue  # an earlier swap has mended it
        # At most half of the rows are `own`, so one row at least neither is nor holds an `own`.
        free = np.flatnonzero((group_N != own) & (group_N[other_N] != own))
        swap = rng.choice(free)
        other_N[row], other_N[swap] = other_N[swap], other_N[row]
    return other_N


def within_groups(groups_N: np.ndarray, *, seed: int) -> np.ndarray:
    """Another row of every row's own group, each taken once; -1 for a row that is alone in it."""
    order_N = np.random.default_rng(seed).permutation(len(groups_N))
    # Stable: the rows of a group stand together, in random order; each takes the one behind it.
    order_N = order_N[np.argsort(groups_N[order_N], kind="stable")]
    other_N = np.full(len(groups_N), -1)
    firsts = np.unique(groups_N[order_N], return_index=True)[1]
    for own in np.split(order_N, firsts[1:]):
        if len(own) > 1:
            other_N[own] = np.roll(own, -1)
    return other_N


def retrieval_ranks(predicted_ND: np.ndarray, target_ND: np.ndarray) -> np.ndarray:
    """The rank, from 1, of every row's own target among all by cosine; ties count against."""
    target_ND = unit(target_ND)
    direction_ND = unit(predicted_ND)
    ranks = []
    for start in range(0, len(target_ND), RETRIEVAL_BLOCK):
        cos_BN = direction_ND[start : start + RETRIEVAL_BLOCK] @ target_ND.T
        rows_B = np.arange(len(cos_BN))
        own_B = cos_BN[rows_B, start + rows_B]
        # Equal targets count as nearer: else copies of one target would all have their best rank.
        ranks.append(np.count_nonzero(cos_BN >= own_B[:, None], axis=1))
    return np.concatenate(ranks)


def retrieval_drawn(ranks_N: np.ndarray, passages_N: np.ndarray, draws: Draws) -> dict[str, Drawn]:
    """Top-1 and mean reciprocal rank in the draws of a table; the rivals stay those of `ranks`."""
    return draws.ratios(retrieval_ratios(ranks_N, passages_N))


def retrieval_ratios(ranks_N: np.ndarray, passages_N: np.ndarray) -> dict[str, Ratio]:
    """The same before they are drawn."""
    # The ranks are not taken anew within a draw, where copies of a passage would tie.
    per_row = {"retrieval_top1": ranks_N == 1, "retrieval_mrr": 1 / ranks_N}
    ones_N = np.ones(len(ranks_N))
    return {name: Ratio(scores_N, ones_N, passages_N) for name, scores_N in per_row.items()}


def _pairs(columns: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Errors and variances of every FVE whose two columns are there."""
    pairs = {
        name: (columns[errors], columns[variances])
        for name, (errors, variances) in FVE_COLUMNS.items()
        if errors in columns and variances in columns
    }
    for name, (_, variances_N) in pairs.items():
        # Not `<=`: NaN is refused, too.
        if not variances_N.mean() > LEAST_VARIANCE:
            raise ValueError(f"{name} has no variance to explain: the targets are all alike")
    return pairs


def _squares(x_ND: np.ndarray) -> np.ndarray:
    """||x||^2 of every row."""
    return np.einsum("nd,nd->n", x_ND, x_ND)


def _squares_about_scalar_mean(x_ND: np.ndarray) -> np.ndarray:
    # One number for all rows and dimensions, as published: the mean vector of the targets stays in
    # their variance, and a constant that predicts it counts as having explained it.
    return _squares(x_ND - x_ND.mean())
