"""Files of vectors that people bring, opened as they are: .safetensors, .npy, .pt and .parquet.

Vectors stay on disk: files are mapped, or read on through their row groups; what is asked for
comes in fp32. Knows neither texts nor hosts. N rows, D width.
"""

import json
from collections.abc import Sequence
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.sources.files import kind_of
from interlingua.sources.vector_column import VectorColumn, is_vectors
from interlingua.store.reading import UNREADABLE

SUFFIXES = (".safetensors", ".npy", ".pt", ".parquet")
# numpy has no bfloat16: its bits are the upper half of an fp32.
BF16 = "bfloat16"
SAFETENSORS = {"F16": np.float16, "BF16": np.uint16, "F32": np.float32, "F64": np.float64}


class Vectors(Protocol):
    """The rows of a file by their numbers."""

    where: str  # for an error
    num_rows: int
    width: int
    dtype: str  # as they are stored

    def take(self, numbers_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """[N, D]: the rows with these ascending numbers; what is missing in them is NaN."""


def opened_vectors(files: Sequence[Path], tensor: str | None) -> Vectors:
    """The vectors of files, counted through them in order; raises where one is not 2-D floats."""
    parts = [_OPENED[kind_of(path)](path, tensor) for path in files]
    for part in parts[1:]:
        if part.width != parts[0].width:
            raise ValueError(
                f"{part.where} is {part.width} wide, {parts[0].where} {parts[0].width}: files of "
                "one path hold rows of one host and block"
            )
    return parts[0] if len(parts) == 1 else _Joined(parts)


class _Joined:
    def __init__(self, parts: Sequence[Vectors]) -> None:
        self._parts, self._ends = parts, list(accumulate(part.num_rows for part in parts))
        self.where = f"{parts[0].where} and {len(parts) - 1} more"
        self.num_rows, self.width = self._ends[-1], parts[0].width
        self.dtype = ", ".join(sorted({part.dtype for part in parts}))

    def take(self, numbers_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows, each from its file."""
        found = []
        for part, end in zip(self._parts, self._ends, strict=True):
            begin = end - part.num_rows
            mine = numbers_N[(begin <= numbers_N) & (numbers_N < end)]
            if len(mine):
                found.append(part.take(mine - begin))
        return np.concatenate(found)


class _Mapped:
    def __init__(self, where: str, mapped_ND: NDArray[Any], *, is_bf16: bool = False) -> None:
        self.dtype = BF16 if is_bf16 else str(mapped_ND.dtype)
        if not is_bf16 and mapped_ND.dtype not in (np.float16, np.float32, np.float64):
            raise _not_floats(where, self.dtype)
        _check_2d(where, mapped_ND.shape)
        self.where, self._mapped_ND, self._is_bf16 = where, mapped_ND, is_bf16
        self.num_rows, self.width = mapped_ND.shape

    def take(self, numbers_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows, copied: only their pages are read."""
        rows_ND = self._mapped_ND[numbers_N]
        if self._is_bf16:
            return (rows_ND.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # beyond fp32 they are infinite, which is found later
            return np.asarray(rows_ND, np.float32)


class _Torch:
    def __init__(self, where: str, tensor_ND: Any) -> None:
        self.dtype = str(tensor_ND.dtype).removeprefix("torch.")
        if self.dtype not in ("float16", BF16, "float32", "float64"):
            raise _not_floats(where, self.dtype)
        _check_2d(where, tuple(tensor_ND.shape))
        self.where, self._tensor_ND = where, tensor_ND
        self.num_rows, self.width = tensor_ND.shape

    def take(self, numbers_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows, copied from the mapped file."""
        import torch

        rows_ND: NDArray[np.float32] = self._tensor_ND[torch.from_numpy(numbers_N)].float().numpy()
        return rows_ND


def _npy(path: Path, tensor: str | None) -> Vectors:
    if tensor is not None:
        raise ValueError(
            f"{path} holds one array without a name: set ActivationFile.tensor to none"
        )
    try:
        mapped_ND = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be read ({_line(error)}); save an array of floats with numpy.save"
        ) from error
    return _Mapped(str(path), mapped_ND)


def _safetensors(path: Path, tensor: str | None) -> Vectors:
    content = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    try:
        # The format: the header's length in eight bytes, the header in JSON, the raw tensors.
        start = 8 + int.from_bytes(content[:8].tobytes(), "little")
        entries = json.loads(content[8:start].tobytes())
        entries.pop("__metadata__", None)
        name = _chosen(path, list(entries), tensor, "tensor")
        entry = entries[name]
        kind, shape = entry["dtype"], entry["shape"]
        begin, end = (start + offset for offset in entry["data_offsets"])
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no safetensors file ({_line(error)}); save it again"
        ) from error
    where = f"{path}, tensor {name}"
    if kind not in SAFETENSORS:
        raise _not_floats(where, kind)
    if end - begin != np.dtype(SAFETENSORS[kind]).itemsize * prod(shape):
        raise ValueError(f"{where} has not as many bytes as its shape {shape} takes; save it again")
    if end > len(content):
        raise ValueError(
            f"{where} is cut off: {end - len(content)} bytes are missing; copy it again"
        )
    mapped_ND = content[begin:end].view(SAFETENSORS[kind]).reshape(shape)
    return _Mapped(where, mapped_ND, is_bf16=kind == "BF16")


def _pt(path: Path, tensor: str | None) -> Vectors:
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors, and opening it would run code that is in it: save "
            "the tensor alone, torch.save(h, path), or as .safetensors"
        ) from error
    except UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be mapped ({_line(error)[:120]}); save it again with a torch of today, "
            "or as .safetensors"
        ) from error
    where = str(path)
    if isinstance(found, dict):
        tensors = {name: one for name, one in found.items() if isinstance(one, torch.Tensor)}
        name = _chosen(path, list(tensors), tensor, "tensor")
        where, found = f"{path}, tensor {name}", tensors[name]
    elif tensor is not None:
        raise ValueError(
            f"{path} holds one tensor without a name: set ActivationFile.tensor to none"
        )
    if not isinstance(found, torch.Tensor) or found.layout != torch.strided:
        raise ValueError(
            f"{where} is {type(found).__name__}; it must be a dense tensor, or a dict of them"
        )
    return _Torch(where, found.detach())


def _parquet(path: Path, tensor: str | None) -> Vectors:
    try:
        schema = pq.read_schema(path)
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read ({_line(error)}); write it again") from error
    names = [field.name for field in schema if is_vectors(field.type)]
    if tensor is not None and tensor in schema.names and tensor not in names:
        kind = schema.field(tensor).type
        raise ValueError(f"{path}, column {tensor} is {kind}; it must be lists of floats")
    return VectorColumn(path, _chosen(path, names, tensor, "column of vectors"))


_OPENED = {".npy": _npy, ".safetensors": _safetensors, ".pt": _pt, ".parquet": _parquet}


def _chosen(path: Path, names: Sequence[str], tensor: str | None, what: str) -> str:
    """The name that was asked for, or the only one there is."""
    has = f"it has {', '.join(map(str, names)) or 'none'}"
    if tensor is None and len(names) != 1:
        raise ValueError(f"{path} has {len(names)} of what may be the {what}; {has}: name it in "
                         "ActivationFile.tensor")  # fmt: skip
    if tensor is not None and tensor not in names:
        raise ValueError(f"{path} has no {what} {tensor!r}; {has}")
    return names[0] if tensor is None else tensor


def _check_2d(where: str, shape: Sequence[int]) -> None:
    if len(shape) != 2:
        raise ValueError(
            f"{where} has the shape {tuple(shape)}; it must be [rows, width], a vector a row"
        )


def _not_floats(where: str, dtype: str) -> ValueError:
    return ValueError(
        f"{where} is {dtype}; vectors are float16, bfloat16, float32 or float64 (bfloat16 as "
        ".safetensors or .pt: numpy has none)"
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
