"""Rows of input embeddings in the forms that SGLang's and vLLM's clients send. Knows no route.

x: rows [T, E] as the trunk's first block gets them; E: the trunk's width.
"""

from base64 import b64decode
from math import prod

import numpy as np

from interlingua.serving.backend import Card, Refused
from interlingua.serving.protocols.shared import check_most
from interlingua.serving.protocols.torch_file import (
    BITS_OF_BF16,
    NotATensor,
    floats_of,
    widened,
)

INSTEAD = "for explanations of activations there is POST /v1/verbalize"
WHAT_THIS_IS = (
    f"this server draws texts after input embeddings, and completes no other prompt; {INSTEAD}"
)


def refuse_inexpressible(card: Card, field: str) -> None:
    """Refused where the vectors of this bundle are no rows of input embeddings."""
    if card.obstacle is not None:
        raise Refused(field, f"{field}: {card.name} cannot be asked so: {card.obstacle}; {INSTEAD}")


def rows_in_list(given: object, card: Card, field: str) -> np.ndarray:
    """[T, E] fp32 of nested lists."""
    try:
        found = np.asarray(given)
    except (ValueError, OverflowError) as error:
        raise Refused(field, f"{field} holds rows of several widths") from error
    if found.dtype.kind not in "fiu":
        raise Refused(field, f"{field} must be lists of numbers alone")
    return _checked(found, card, field)


def rows_in_bf16(given: str, sizes: list[int] | None, card: Card, field: str) -> np.ndarray:
    """[T, E] fp32 of the bytes of bf16, row by row, in base64."""
    content = _bytes(given, field)
    if sizes is None or len(sizes) != 2 or min(sizes) < 1:
        raise Refused("input_embeds_shape", "input_embeds_shape must be [rows, width]")
    if len(content) != prod(sizes) * BITS_OF_BF16.itemsize:
        raise Refused(
            field,
            f"{field} holds {len(content)} bytes; bf16 of the shape {sizes} takes "
            f"{prod(sizes) * BITS_OF_BF16.itemsize}",
        )
    rows_TE = widened(np.frombuffer(content, BITS_OF_BF16)).reshape(sizes)
    return _checked(rows_TE, card, field)


def rows_in_torch_file(given: str, card: Card, field: str) -> np.ndarray:
    """[T, E] fp32 of a file of torch.save in base64."""
    try:
        found = floats_of(_bytes(given, field))
    except NotATensor as error:
        raise Refused(field, f"{field} cannot be read: {error}") from error
    # One row may come as a vector: that of a single marker.
    return _checked(found[None] if found.ndim == 1 else found, card, field)


def _bytes(given: str, field: str) -> bytes:
    try:
        return b64decode(given, validate=True)
    except ValueError as error:
        raise Refused(field, f"{field} is no base64") from error


def _checked(found: np.ndarray, card: Card, field: str) -> np.ndarray:
    if found.ndim != 2 or found.shape[0] < 1:
        raise Refused(field, f"{field} has the shape {list(found.shape)}; give [rows, width]")
    check_most(field, len(found), card.limits.max_batch_tokens, "rows")
    if found.shape[1] != card.width:
        raise Refused(
            field, f"{field} is {found.shape[1]} wide; embeddings of {card.trunk} are {card.width}"
        )
    with np.errstate(over="ignore"):  # what overflows fp32 is refused below
        rows_TE = found.astype(np.float32)
    is_bad_T = ~np.isfinite(rows_TE).all(axis=1)
    if is_bad_T.any():
        row = int(is_bad_T.argmax())
        raise Refused(field, f"{field}: row {row} holds NaN, infinity, or more than fp32 can")
    return rows_TE
