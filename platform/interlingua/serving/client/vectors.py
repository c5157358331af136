"""Activations as they are sent, and vectors as they come. Knows no route.

h: raw activations [N, D] of a host.
"""

from base64 import b64decode
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from interlingua.serving.http.wire import LITTLE_FP32, REAL, check_rows, check_width

NUMBERS = "it must be an array or a list of real numbers"


def rows_of(activations: ArrayLike, width: int | None, host: str) -> np.ndarray:
    """[N, D] fp64, which holds every shorter float; refused before it is sent where it is wrong."""
    try:
        given = np.asarray(activations)
    except (TypeError, ValueError) as error:
        raise ValueError(f"activations is a {type(activations).__name__}; {NUMBERS}") from error
    if given.dtype.kind not in REAL or given.ndim not in (1, 2):
        raise ValueError(
            f"activations is of {given.dtype} and the shape {given.shape}; {NUMBERS}, of the shape "
            "[D] or [N, D]"
        )
    wide_ND = np.atleast_2d(given).astype(np.float64)
    if width is not None:
        check_width(wide_ND.shape[1], "activations", width, host)
    check_rows(wide_ND, "activations", host)
    return wide_ND


def texts_of(texts: Sequence[str], name: str = "texts") -> list[str]:
    """The texts; raises ValueError where they are no list of texts."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"{name} is a {type(texts).__name__}; give a list of texts")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{name}[{place}] is a {type(text).__name__}; a text is a str")
    return list(texts)


def decoded(content: object, width: int) -> np.ndarray:
    """[N, D] fp32 of base64, bit for bit; raises ValueError where it is something else."""
    match content:
        case {"base64": str(text), "shape": [int(count), int(wide)]} if wide == width:
            values = b64decode(text, validate=True)
            if len(values) == LITTLE_FP32.itemsize * prod((count, wide)):
                return np.frombuffer(values, LITTLE_FP32).reshape(count, wide).astype(np.float32)
    raise ValueError(f"vectors came that are not base64 of fp32, {width} wide")
