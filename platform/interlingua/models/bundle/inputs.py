"""Arguments of an NLA's calls, made into what it reads, or refused in a sentence. Opens no model.

h: a raw activation of a host, D its width.
"""

from collections.abc import Sequence
from operator import index

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from interlingua.core.geometry import near_one

NUMBERS = "it must be a tensor, an array or a list of real numbers"
REAL = "fiu"  # numpy's kinds


def vectors_of(activations: ArrayLike | Tensor, width: int, host: str) -> np.ndarray:
    """[N, D] fp32 with the directions of one activation or of many, and with their digits.

    A row is a power of two times the one that was given: only the direction of an activation is
    ever used, but its square is taken on the way, and in fp32 a very long or short vector would
    become another one, or none.
    """
    wide_ND = _numbers(activations)
    if wide_ND.shape == (width,):
        wide_ND = wide_ND[None]
    if wide_ND.ndim != 2 or wide_ND.shape[1] != width:
        raise ValueError(
            f"activations has the shape {wide_ND.shape}; activations of {host} are one vector of "
            f"the shape ({width},) or rows of the shape (N, {width})"
        )
    for row, wide_D in enumerate(wide_ND):
        place = f"row {row} of activations" if len(wide_ND) > 1 else "activations"
        if num_bad := int(np.count_nonzero(~np.isfinite(wide_D))):
            raise ValueError(
                f"{place} holds {num_bad} values of {width} that are NaN or infinite, as where "
                f"{host} overflowed while it was read; read it in a wider dtype"
            )
        if not wide_D.any():
            raise ValueError(
                f"{place} is zero in all {width} places; an NLA reads the direction of a vector, "
                "and a zero vector has no direction"
            )
    return near_one(wide_ND).astype(np.float32)


def texts_of(texts: Sequence[str]) -> list[str]:
    """The texts; raises ValueError where they are no list of texts, or one of them is none."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"texts is a {type(texts).__name__}; give a list of texts")
    return [text_of(text) for text in texts]


def text_of(text: str) -> str:
    """The text; raises ValueError where it is none."""
    if text is None:
        raise ValueError(
            "text is None; where the AV did not close its tag there is no explanation to go on from"
        )
    if not isinstance(text, str):
        raise ValueError(f"text is a {type(text).__name__}; a text is a str")
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


def _numbers(activations: ArrayLike | Tensor) -> np.ndarray:
    """The values in fp64, which holds every shorter float as it is."""
    kind = type(activations).__name__
    if isinstance(activations, Tensor):
        plain = activations.detach().cpu()
        # numpy knows neither bf16 nor fp8
        activations = (plain.double() if plain.is_floating_point() else plain).numpy()
    try:
        given = np.asarray(activations)
    except ValueError as error:
        raise ValueError(f"activations is a {kind} of unequal parts; {NUMBERS}") from error
    if given.dtype.kind not in REAL:
        raise ValueError(f"activations is a {kind} of {given.dtype}; {NUMBERS}")
    return given.astype(np.float64)
