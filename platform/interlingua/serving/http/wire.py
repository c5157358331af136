"""Vectors in JSON, in three forms: a list, base64 of fp32 with its shape, base64 of a .npy file.

Whatever form a vector came in, the same numbers give the same bits. Knows no route and no model.
h: raw activations [N, D] of a host; D: its width.
"""

import io
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Literal

import numpy as np

from interlingua.core.geometry import near_one
from interlingua.serving.backend import Refused

Form = Literal["list", "base64", "npy"]

REAL = "fiu"  # numpy's kinds
LITTLE_FP32 = np.dtype("<f4")
FORMS = (
    'give a list of numbers, a list of such lists, {"base64": fp32 little-endian, "shape": [N, D]} '
    'or {"npy": base64 of a .npy file}'
)
NUMBER = {"type": "number"}
BASE64 = {"type": "string", "contentEncoding": "base64"}
SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": NUMBER, "description": "One vector."},
        {
            "type": "array",
            "items": {"type": "array", "items": NUMBER},
            "description": "A vector a row.",
        },
        {
            "type": "object",
            "required": ["base64", "shape"],
            "properties": {
                "base64": BASE64,
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": 1,
                    "maxItems": 2,
                },
            },
            "additionalProperties": False,
            "description": "fp32, little-endian, row by row.",
        },
        {
            "type": "object",
            "required": ["npy"],
            "properties": {"npy": BASE64},
            "additionalProperties": False,
            "description": "A .npy file of one vector or of rows, of any real dtype.",
        },
    ]
}


def encoded(x_ND: np.ndarray, form: Form) -> object:
    """Rows as fp32 in a form, ready for JSON."""
    plain_ND = np.ascontiguousarray(x_ND, LITTLE_FP32)
    if form == "list":
        return plain_ND.tolist()
    if form == "base64":
        return {"base64": b64encode(plain_ND.tobytes()).decode(), "shape": list(plain_ND.shape)}
    file = io.BytesIO()
    np.save(file, plain_ND, allow_pickle=False)
    return {"npy": b64encode(file.getvalue()).decode()}


def vectors_of(given: object, *, field: str, width: int, host: str, max_rows: int) -> np.ndarray:
    """[N, D] fp32 with the directions of what was given, and with their digits.

    Only the direction of an activation is ever used, but its square is taken on the way: a row is a
    power of two times the one that was given, so that a very long or short one stays what it is.
    """
    match given:
        case list():
            x_ND = _of_list(given, field, width, host, max_rows)
        case {"base64": str(text), "shape": shape, **more} if not more:
            x_ND = _of_base64(text, shape, field)
        case {"npy": str(text), **more} if not more:
            x_ND = _of_npy(_bytes(text, f"{field}.npy"), f"{field}.npy")
        case Mapping():
            raise Refused(field, f"{field} has the keys {sorted(map(str, given))!a}; {FORMS}")
        case _:
            raise Refused(field, f"{field} is a {type(given).__name__}; {FORMS}")
    x_ND = x_ND[None] if x_ND.ndim == 1 else x_ND
    _check_count(len(x_ND), field, max_rows)
    check_width(x_ND.shape[1], field, width, host)
    wide_ND = x_ND.astype(np.float64)  # which holds every shorter float as it is
    check_rows(wide_ND, field, host)
    return near_one(wide_ND).astype(np.float32)


def _check_count(count: int, field: str, max_rows: int) -> None:
    if count > max_rows:
        raise Refused(field, f"{field} has {count} rows; one request has at most {max_rows}")


def check_width(found: int, field: str, width: int, host: str) -> None:
    """Raises Refused where rows have another width than a host's."""
    if found != width:
        raise Refused(field, f"{field} is {found} wide; activations of {host} are {width} wide")


def check_rows(wide_ND: np.ndarray, field: str, host: str) -> None:
    """Raises Refused where a row is not finite, or is zero."""
    num_bad_N = np.count_nonzero(~np.isfinite(wide_ND), axis=1)
    if num_bad_N.any():
        row = int(num_bad_N.argmax())
        raise Refused(
            f"{field}[{row}]",
            f"row {row} of {field} holds {num_bad_N[row]} values of {wide_ND.shape[1]} that are "
            f"NaN or infinite, as where {host} overflowed while it was read; read it in a wider "
            "dtype",
        )
    is_zero_N = ~wide_ND.any(axis=1)
    if is_zero_N.any():
        row = int(is_zero_N.argmax())
        raise Refused(
            f"{field}[{row}]",
            f"row {row} of {field} is zero in all {wide_ND.shape[1]} places of {host}; only the "
            "direction of a vector is read, and a zero vector has none",
        )


def _of_list(given: list[Any], field: str, width: int, host: str, max_rows: int) -> np.ndarray:
    """Numbers are counted before any is converted."""
    if not given:
        raise Refused(field, f"{field} is empty; {FORMS}")
    if not isinstance(given[0], list):
        return _row(given, field, width, host)
    _check_count(len(given), field, max_rows)
    return np.stack(
        [_row(row, f"{field}[{number}]", width, host) for number, row in enumerate(given)]
    )


def _row(row: object, field: str, width: int, host: str) -> np.ndarray:
    if not isinstance(row, list):
        raise Refused(field, f"{field} is a {type(row).__name__}, not a list; {FORMS}")
    check_width(len(row), field, width, host)
    # The kinds are compared, not asked of numpy: it takes true for 1.
    if not set(map(type, row)) <= {int, float}:
        raise Refused(field, f"{field} does not hold numbers alone; {FORMS}")
    try:
        return np.array(row, np.float64)
    except OverflowError:  # whole numbers of more than 308 digits
        raise Refused(field, f"{field} holds a number that no fp64 can hold") from None


def _of_base64(text: str, shape: object, field: str) -> np.ndarray:
    content = _bytes(text, f"{field}.base64")
    is_shape = isinstance(shape, list) and 0 < len(shape) <= 2 and set(map(type, shape)) == {int}
    if not isinstance(shape, list) or not is_shape or min(shape) < 1:
        raise Refused(f"{field}.shape", f"{field}.shape must be [D] or [N, D] in whole numbers")
    if len(content) != LITTLE_FP32.itemsize * prod(shape):
        raise Refused(
            f"{field}.base64",
            f"{field}.base64 holds {len(content)} bytes; fp32 of the shape {shape} takes "
            f"{LITTLE_FP32.itemsize * prod(shape)}",
        )
    return np.frombuffer(content, LITTLE_FP32).reshape(shape)


def _of_npy(content: bytes, field: str) -> np.ndarray:
    """The array of a .npy file, of which neither header nor size is believed unchecked."""
    file = io.BytesIO(content)
    try:
        shape, is_fortran, dtype = _header(file)
    except Exception as error:  # numpy lets many kinds through, as the header is read as Python
        raise Refused(field, f"{field} does not begin as a .npy file of version 1 or 2") from error
    if dtype.kind not in REAL:
        raise Refused(field, f"{field} holds values of the dtype {dtype}; give real numbers")
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise Refused(field, f"{field} has the shape {list(shape)}; give [D] or [N, D]")
    values = content[file.tell() :]
    if len(values) != dtype.itemsize * prod(shape):
        raise Refused(
            field,
            f"{field} holds {len(values)} bytes of values; {dtype} of the shape {list(shape)} "
            f"takes {dtype.itemsize * prod(shape)}",
        )
    order: Literal["F", "C"] = "F" if is_fortran else "C"
    return np.frombuffer(values, dtype).reshape(shape, order=order)


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype]]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    return readers[np.lib.format.read_magic(file)](file)


def _bytes(text: str, field: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(field, f"{field} is no base64: {error}") from error
