"""Linear maps from second moments: least squares and ridge. Knows no rows, no host and no file.

A ridge strength is relative to the mean diagonal of X^T X of the rows that are fitted: strength s
minimises ||Y - X W||^2 + s * mean(diag(X^T X)) * ||W||^2. Strength 0 is least squares, of least
norm where the rows do not determine the map.

x [D] are inputs and y [E] outputs; gram_DD is X^T X, cross_DE X^T Y; S strengths, R the rank.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from interlingua.core.moments import Block, FoldMoments, Moments
from interlingua.specs.maps import RidgeSpec

ROWS_PER_DIMENSION = 5
EPSILON = float(np.finfo(np.float64).eps)
# A column that varies by less than this share of its mean holds rounding, not data.
CONSTANT_SHARE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """Numbers by which to judge the fit of a linear map.

    `condition_number` is that of the matrix solved: X^T X plus ridge, scaled to a unit diagonal.
    `effective_rank` is the trace of X (X^T X + ridge)^-1 X^T: the dimensions that the map uses.
    `is_rank_deficient`: directions of that matrix were lost in rounding and are cut off.
    `has_few_rows`: fewer than ROWS_PER_DIMENSION rows a dimension. Near one row a dimension least
    squares is far worse than the mean on new rows.
    `fold_errors` maps a strength to the mean ||y - y^||^2 of rows held out by fold; empty where
    there was nothing to choose.
    """

    num_rows: int
    ridge: float
    condition_number: float
    effective_rank: float
    is_rank_deficient: bool
    has_few_rows: bool
    fold_errors: dict[float, float] = field(default_factory=dict)

    def as_metrics(self) -> dict[str, float]:
        """The report as flat metrics, for a record."""
        numbers = asdict(self)
        errors = numbers.pop("fold_errors").items()
        return numbers | {f"fold_error/{strength:g}": error for strength, error in errors}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearMap:
    """y = weight x + offset, in fp64."""

    weight_ED: np.ndarray
    offset_E: np.ndarray
    report: FitReport

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        return x_ND @ self.weight_ED.T + self.offset_E


def fit(folds: FoldMoments, *, strengths: Sequence[float], centred: bool) -> LinearMap:
    """The map over all rows, of the strength whose error on held-out folds is least.

    `centred` fits about the means, with an intercept; otherwise the map goes through the origin.
    """
    if len(strengths) == 1:
        return solve(folds.total(), ridge=strengths[0], centred=centred)
    errors_S = fold_errors(folds, strengths=strengths, centred=centred)
    chosen = solve(folds.total(), ridge=strengths[int(np.argmin(errors_S))], centred=centred)
    errors = dict(zip(strengths, errors_S.tolist(), strict=True))
    return replace(chosen, report=replace(chosen.report, fold_errors=errors))


def fit_blocks(blocks: Iterable[Block], ridge: RidgeSpec) -> LinearMap:
    """The ridge about the means of streamed rows, in the order in which they come."""
    folds = FoldMoments.of_blocks(blocks, num_folds=ridge.num_folds)
    return fit(folds, strengths=ridge.strengths, centred=True)


def solve(moments: Moments, *, ridge: float, centred: bool) -> LinearMap:
    """The map of one strength: through the means when centred, else through the origin."""
    _check(moments, ridge)
    origin_x_D, origin_y_E = _origin(moments, centred=centred)
    gram_DD, cross_DE, _ = moments.about(origin_x_D, origin_y_E)
    # Before the penalty: it is relative to the mean diagonal, and keeps a cleared column regular.
    _clear_constant_columns(gram_DD, cross_DE, moments.num_rows * origin_x_D**2)
    penalty = ridge * float(np.diag(gram_DD).mean())
    gram_DD[np.diag_indices_from(gram_DD)] += penalty
    solution = _solution(gram_DD, cross_DE)
    num_inputs = len(gram_DD)
    return LinearMap(
        # W maps differences to differences: the intercept is what is left of the two means.
        weight_ED=solution.weight_DE.T,
        offset_E=origin_y_E - origin_x_D @ solution.weight_DE,
        report=FitReport(
            num_rows=moments.num_rows,
            ridge=ridge,
            condition_number=solution.condition_number,
            # trace((G + p I)^-1 G) = rank - p trace((G + p I)^-1), of the gram G and the penalty p.
            effective_rank=solution.rank - penalty * solution.inverse_trace,
            is_rank_deficient=solution.rank < num_inputs,
            has_few_rows=moments.num_rows < ROWS_PER_DIMENSION * num_inputs,
        ),
    )


def fold_errors(folds: FoldMoments, *, strengths: Sequence[float], centred: bool) -> np.ndarray:
    """Mean ||y - y^||^2 of every strength, each fold predicted from the others."""
    occupied = [fold for fold, moments in enumerate(folds.folds) if moments.num_rows]
    if len(strengths) == 0 or len(occupied) < 2:
        raise ValueError(
            f"{len(strengths)} strengths, {len(occupied)} folds with rows: "
            "to choose takes at least one strength and two folds"
        )
    errors_S = np.zeros(len(strengths))
    for fold in occupied:
        # Sums, divided once by all rows: rows count alike, and not folds.
        errors_S += _held_out_errors(folds.without(fold), folds.folds[fold], strengths, centred)
    return errors_S / folds.num_rows


def _held_out_errors(
    train: Moments, held: Moments, strengths: Sequence[float], centred: bool
) -> np.ndarray:
    """Sum of ||y - y^||^2 over the held rows; one eigendecomposition serves every strength.

    With X^T X = V diag(values) V^T of the train rows, W = V diag(1 / (values + penalty)) V^T X^T Y,
    and the error is a quadratic form in the factors 1 / (values + penalty).
    """
    # The held rows are centred on the means of the others: their own would leak into the error.
    origin = _origin(train, centred=centred)
    gram_DD, cross_DE, _ = train.about(*origin)
    held_gram_DD, held_cross_DE, held_yy_E = held.about(*origin)
    values_D, basis_DD = np.linalg.eigh(gram_DD)
    turned_DE = basis_DD.T @ cross_DE
    # ||Y - X W||^2 = ||Y||^2 - 2 <W, X^T Y> + <W, X^T X W>: the last two in the turned basis.
    linear_D = np.einsum("de,de->d", turned_DE, basis_DD.T @ held_cross_DE)
    quadratic_DD = (basis_DD.T @ held_gram_DD @ basis_DD) * (turned_DE @ turned_DE.T)
    # Below this an eigenvalue is rounding, and 1 / (value + penalty) would be of any size.
    rounding = len(values_D) * EPSILON * values_D[-1]
    errors = []
    for strength in strengths:
        # The trace is the sum of the eigenvalues: the same mean diagonal as in `solve`.
        penalty = strength * values_D.mean()
        if penalty <= rounding:
            weight_DE = solve(train, ridge=strength, centred=centred).weight_ED.T
            linear = np.vdot(weight_DE, held_cross_DE)
            quadratic = np.vdot(weight_DE, held_gram_DD @ weight_DE)
        else:
            # A singular matrix has eigenvalues a little below zero.
            factors_D = 1 / (np.maximum(values_D, 0) + penalty)
            linear = factors_D @ linear_D
            quadratic = factors_D @ quadratic_DD @ factors_D
        errors.append(held_yy_E.sum() - 2 * linear + quadratic)
    return np.array(errors)


class _Solution(NamedTuple):
    """W, and of the system: condition, rank, and the trace of its inverse in unscaled columns."""

    weight_DE: np.ndarray
    condition_number: float
    rank: int
    inverse_trace: float


def _solution(system_DD: np.ndarray, cross_DE: np.ndarray) -> _Solution:
    """system^-1 cross; where the system is singular, of least norm in its range."""
    diagonal_D = np.diag(system_DD)
    # Outlier dimensions are hundreds of times larger: unscaled, they cost the others their digits.
    scale_D = np.sqrt(np.where(diagonal_D > 0, diagonal_D, 1.0))
    scaled_DD = system_DD / scale_D[:, None] / scale_D
    scaled_cross_DE = cross_DE / scale_D[:, None]
    regular = _by_cholesky(scaled_DD, scaled_cross_DE, scale_D)
    if regular is not None:
        return regular
    return _by_eigenvectors(scaled_DD, scaled_cross_DE, scale_D)


def _by_cholesky(
    scaled_DD: np.ndarray, scaled_cross_DE: np.ndarray, scale_D: np.ndarray
) -> _Solution | None:
    """The solution from a Cholesky factor; None where the system is singular to rounding."""
    # Symmetric: the transpose is the same matrix, already in the column order of LAPACK.
    factor_DD, failed = lapack.dpotrf(scaled_DD.T, lower=1)
    if failed:
        return None
    largest = np.abs(scaled_DD).sum(axis=0).max()
    # Estimated from the factor alone, in the 1-norm: `largest` is the norm of the matrix itself.
    inverse_condition, _ = lapack.dpocon(factor_DD, largest, uplo="L")
    # Cholesky may succeed on a system that is singular to rounding; its weights would be noise.
    if inverse_condition < 10 * len(scale_D) * EPSILON:
        return None
    solved_DE, _ = lapack.dpotrs(factor_DD, scaled_cross_DE, lower=1)
    inverse_DD, _ = lapack.dtrtri(factor_DD, lower=1)
    return _Solution(
        weight_DE=solved_DE / scale_D[:, None],
        condition_number=1 / float(inverse_condition),
        rank=len(scale_D),
        # The system is S L L^T S: its inverse has the trace ||L^-1 S^-1||^2.
        inverse_trace=float(np.sum((inverse_DD / scale_D) ** 2)),
    )


def _by_eigenvectors(
    scaled_DD: np.ndarray, scaled_cross_DE: np.ndarray, scale_D: np.ndarray
) -> _Solution:
    """The least-norm solution in the directions that are above rounding."""
    values_D, vectors_DD = np.linalg.eigh(scaled_DD)
    kept_D = values_D > len(values_D) * EPSILON * values_D[-1]
    values_R, vectors_DR = values_D[kept_D], vectors_DD[:, kept_D]
    solved_DE = vectors_DR @ ((vectors_DR.T @ scaled_cross_DE) / values_R[:, None])
    # Least norm in scaled columns is not least norm: project onto the range of the unscaled.
    range_DR, _ = np.linalg.qr(scale_D[:, None] * vectors_DR)
    return _Solution(
        weight_DE=range_DR @ (range_DR.T @ (solved_DE / scale_D[:, None])),
        condition_number=float(values_R[-1] / values_R[0]) if len(values_R) else 1.0,
        rank=len(values_R),
        inverse_trace=0.0,  # its ridge, if any, is below rounding
    )


def _origin(moments: Moments, *, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    """The points that x and y are measured from: their means, or zero."""
    if centred:
        return moments.mean_x_D, moments.mean_y_E
    return np.zeros_like(moments.mean_x_D), np.zeros_like(moments.mean_y_E)


def _clear_constant_columns(
    gram_DD: np.ndarray, cross_DE: np.ndarray, offset_D: np.ndarray
) -> None:
    """Zero, in place, what rounding left of columns without variation; they get weight zero."""
    # offset_D is n mean^2: squares of the column that its mean accounts for. About the origin it
    # is zero, and a constant column is an input like any other.
    is_constant_D = np.diag(gram_DD) <= CONSTANT_SHARE**2 * offset_D
    gram_DD[is_constant_D] = 0.0
    gram_DD[:, is_constant_D] = 0.0
    cross_DE[is_constant_D] = 0.0


def _check(moments: Moments, ridge: float) -> None:
    if moments.num_rows == 0:
        raise ValueError("no rows to fit")
    if not 0 <= ridge < float("inf"):
        raise ValueError(f"ridge is {ridge}; want a finite number >= 0")
