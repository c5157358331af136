"""Directions and distances of activation rows, in fp64. Knows no model and no mean.

u(x) is x at the norm 1, n(x) at the norm sqrt(d); p is a prediction, g its target. N rows of width
D = d.

One rule for bad rows: a row whose norm is not finite raises NonFiniteRows; a zero row stays zero,
so that its cosine with anything is 0 and its NMSE 2. `has_direction` is True for rows that are
neither: code that reads activations drops the others and counts them.
"""

import numpy as np

FLOOR = 1e-12


class NonFiniteRows(ValueError):
    """Rows hold NaN or infinity, or overflow fp64."""


def norms(x_ND: np.ndarray) -> np.ndarray:
    """The L2 norm of every row; not finite where the row is not."""
    # fp64 before the square: that of an fp16 value above 255 is infinite, of a finite row.
    wide_ND = np.asarray(x_ND, dtype=np.float64)
    return np.sqrt(np.einsum("nd,nd->n", wide_ND, wide_ND))


def has_direction(x_ND: np.ndarray) -> np.ndarray:
    """True for every row that is finite and longer than FLOOR."""
    norms_N = norms(x_ND)
    return np.isfinite(norms_N) & (norms_N > FLOOR)


def unit(x_ND: np.ndarray) -> np.ndarray:
    """u(x) = x / max(||x||, FLOOR) of every row."""
    norms_N = norms(x_ND)
    num_bad = int(np.count_nonzero(~np.isfinite(norms_N)))
    if num_bad:
        raise NonFiniteRows(f"{num_bad} of {len(norms_N)} rows are not finite; drop and count them")
    return x_ND / np.maximum(norms_N, FLOOR)[:, None]


def rescale(x_ND: np.ndarray) -> np.ndarray:
    """n(x) = sqrt(d) u(x) of every row."""
    return np.sqrt(x_ND.shape[1]) * unit(x_ND)


def cosine(left_ND: np.ndarray, right_ND: np.ndarray) -> np.ndarray:
    """The cosine of every pair of rows, clipped to [-1, 1]."""
    # Clipped: rounding takes equal rows past 1, and their NMSE below 0.
    return np.clip(np.einsum("nd,nd->n", unit(left_ND), unit(right_ND)), -1.0, 1.0)


def nmse(predicted_ND: np.ndarray, target_ND: np.ndarray) -> np.ndarray:
    """2 (1 - cos) of every row, in [0, 4]: ||n(p) - n(g)||^2 / d where neither row is zero."""
    return 2.0 * (1.0 - cosine(predicted_ND, target_ND))


def near_one(x_ND: np.ndarray) -> np.ndarray:
    """Every row times a power of two, its largest value in [0.5, 1): the same digits.

    Squares of such rows neither overflow nor vanish, also in fp32. A zero row stays zero.
    """
    exponents_N1 = np.frexp(np.abs(x_ND).max(axis=1, keepdims=True))[1]
    scaled_ND: np.ndarray = np.ldexp(x_ND, -exponents_N1)
    return scaled_ND
