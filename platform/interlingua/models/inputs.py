"""Arguments of an NLA's calls, made into what it reads, or refused in a sentence. Opens no model.

h: a raw activation of a host, D its width.
"""

from operator import index

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

NUMBERS = "it must be a tensor, an array or a list of real numbers"
REAL = "fiu"  # numpy's kinds


def vector_of(h_D: ArrayLike | Tensor, width: int, host: str) -> np.ndarray:
    """[D] fp32 with the direction of h_D, and with its digits: a power of two times it.

    Only the direction of an activation is ever used, but its square is taken on the way: in fp32 a
    very long or short vector would become another one, or none.
    """
    wide_D = _numbers(h_D)
    if wide_D.shape != (width,):
        is_batch = wide_D.ndim == 2 and wide_D.shape[1] == width
        raise ValueError(
            f"h_D has the shape {wide_D.shape}; an activation of {host} is one vector of the shape "
            f"({width},){': pass one row at a time' if is_batch else ''}"
        )
    if num_bad := int(np.count_nonzero(~np.isfinite(wide_D))):
        raise ValueError(
            f"h_D holds {num_bad} values of {width} that are NaN or infinite, as where {host} "
            "overflowed while it was read; read it in a wider dtype"
        )
    largest = np.abs(wide_D).max()
    if largest == 0:
        raise ValueError(
            f"h_D is zero in all {width} places; an NLA reads the direction of a vector, and a "
            "zero vector has no direction"
        )
    # A power of two changes no digit; with the largest value in [0.5, 1) a sum of squares is safe.
    scaled_D: np.ndarray = np.ldexp(wide_D, -np.frexp(largest)[1])
    return scaled_D.astype(np.float32)


def text_of(text: str) -> str:
    """The text; raises ValueError where it is none."""
    if text is None:
        raise ValueError(
            "text is None; where the AV did not close its tag there is no explanation to go on from"
        )
    if not isinstance(text, str):
        raise ValueError(
            f"text is a {type(text).__name__}; an NLA takes one text at a time, as a str"
        )
    # A str may hold one, but it has no form in UTF-8, which tokenizers and hashes read.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text holds half a surrogate pair, which is no character: decode it anew")
    return text


def position_of(position: int) -> int:
    """The position; raises ValueError where it is no whole number."""
    try:
        place = index(position)
    except TypeError:
        raise ValueError(f"position is {position!r}; it must be a whole number") from None
    return place


def _numbers(h_D: ArrayLike | Tensor) -> np.ndarray:
    """The values in fp64, which holds every shorter float as it is."""
    kind = type(h_D).__name__
    if isinstance(h_D, Tensor):
        plain_D = h_D.detach().cpu()
        # numpy knows neither bf16 nor fp8
        h_D = (plain_D.double() if plain_D.is_floating_point() else plain_D).numpy()
    try:
        given_D = np.asarray(h_D)
    except ValueError as error:
        raise ValueError(f"h_D is a {kind} of unequal parts; {NUMBERS}") from error
    if given_D.dtype.kind not in REAL:
        raise ValueError(f"h_D is a {kind} of {given_D.dtype}; {NUMBERS}")
    return given_D.astype(np.float64)
