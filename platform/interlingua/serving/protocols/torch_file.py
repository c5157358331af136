"""A tensor out of a file of `torch.save`, without torch, and without unpickling anything.

The pickle in such a file is a program. The few instructions that write down one tensor of floats
are interpreted here; any other ends it, so that a file can make nothing but numbers, and not more
of them than its own bytes hold. Left out: files from before the zip format, fp64, sparse tensors.
"""

import io
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

MAX_PROGRAM_BYTES = 4096  # that of a tensor has some 300
MAX_DIMENSIONS = 8
# bf16 has no type in numpy: its bits are the upper half of an fp32's.
BITS_OF_BF16: np.dtype[Any] = np.dtype("<u2")
STORAGES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": BITS_OF_BF16,
}
REBUILD, NO_HOOKS = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
NAMES = {*STORAGES, REBUILD, NO_HOOKS}
PUSHES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "UNICODE", "INT", "LONG"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
UNSEEN = {"PROTO", "FRAME"}
MARK = object()
# What zipfile raises of bytes that are no archive, or a strange one.
NOT_ZIP = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, struct.error),
    *(ValueError, KeyError, OverflowError),
)


class NotATensor(ValueError):
    """Bytes that are no file of torch.save with one tensor of floats."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Something that a pickle refers to by module and name; here it is the name alone."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage: offset, sizes and strides in elements."""

    storage: _Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def floats_of(content: bytes) -> np.ndarray:
    """The tensor as fp32."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            program = _member(archive, names, "data.pkl", MAX_PROGRAM_BYTES)
            tensor = _tensor(program)
            if "byteorder" in names and _member(archive, names, "byteorder", 16) != b"little":
                raise NotATensor("its numbers are big-endian; save it on another machine")
            place = f"data/{tensor.storage.key}"
            return _values(tensor, _member(archive, names, place, len(content)))
    except NotATensor:
        raise
    except NOT_ZIP as error:
        raise NotATensor("it is no file of torch.save (the zip format, since torch 1.6)") from error


def _member(archive: zipfile.ZipFile, names: dict[str, str], place: str, most_bytes: int) -> bytes:
    """A file of the archive; torch compresses none, so that no small one can become a large one."""
    if place not in names:
        raise NotATensor(f"it has no {place}")
    info = archive.getinfo(names[place])
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most_bytes:
        raise NotATensor(f"its {place} is compressed, or larger than it can be")
    return archive.read(info)


def _tensor(program: bytes) -> _Tensor:
    """What the instructions leave behind."""
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(program):
            if instruction.name == "STOP":
                break
            machine.run(instruction.name, argument)
        result = machine.stack.pop()
    except (IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, NotATensor):
            raise
        raise NotATensor("its pickle is broken") from error
    if not isinstance(result, _Tensor):
        raise NotATensor("it holds something else than one tensor")
    return result


class _Machine:
    """A pickle's stack and memo; `run` carries out an instruction or refuses it."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """One instruction; NotATensor if a tensor of floats needs none of its kind."""
        if name in UNSEEN:
            return
        if name in PUSHES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in TUPLES:
            self._gather(len(self.stack) - TUPLES[name])
        else:
            self._run_other(name, argument)

    def _run_other(self, name: str, argument: Any) -> None:
        match name:
            case "MARK":
                self.stack.append(MARK)
            case "TUPLE":
                start = max(i for i, value in enumerate(self.stack) if value is MARK)
                del self.stack[start]
                self._gather(start)
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                self.stack.append(self.memo[argument])
            case "GLOBAL":
                self.stack.append(_named(argument))
            case "STACK_GLOBAL":
                self.stack[-2:] = [_named(" ".join(self.stack[-2:]))]
            case "BINPERSID":
                self.stack.append(_storage(self.stack.pop()))
            case "REDUCE":
                arguments, function = self.stack.pop(), self.stack.pop()
                self.stack.append(_called(function, arguments))
            case _:
                raise NotATensor(f"its pickle does more than to write down a tensor ({name})")

    def _gather(self, start: int) -> None:
        if start < 0:
            raise IndexError(start)
        self.stack[start:] = [tuple(self.stack[start:])]


def _named(name: str) -> _Name:
    if name in NAMES:
        return _Name(name)
    if name.startswith("torch ") and name.endswith("Storage"):
        raise NotATensor(f"it holds a {name[6:80]!a}; fp32, fp16 and bf16 are read")
    raise NotATensor(f"its pickle asks for {name[:80]!a}; one tensor of fp32, fp16 or bf16 is read")


def _storage(identity: Any) -> _Storage:
    """Of ("storage", type, key, device, number of elements)."""
    match identity:
        case ("storage", _Name(kind), str(key), str(), int()) if kind in STORAGES:
            return _Storage(kind, key)
    raise NotATensor("its pickle refers to something that is no storage of floats")


def _called(function: Any, arguments: Any) -> Any:
    """A tensor, or the empty dictionary of its hooks."""
    match function, arguments:
        case _Name(name="collections OrderedDict"), ():
            return None
        case (
            _Name(name="torch._utils _rebuild_tensor_v2"),
            (_Storage() as storage, int(offset), tuple(sizes), tuple(strides), bool(), None),
        ):
            return _Tensor(storage, offset, sizes, strides)
    raise NotATensor("its pickle does more than to write down a tensor of plain floats")


def _values(tensor: _Tensor, content: bytes) -> np.ndarray:
    dtype = STORAGES[tensor.storage.kind]
    if len(content) % dtype.itemsize:
        raise NotATensor(f"its storage of {len(content)} bytes holds no whole number of elements")
    flat_N = np.frombuffer(content, dtype)
    last = tensor.offset
    for size, stride in _checked_axes(tensor):
        last += (size - 1) * stride
    # An expanded tensor repeats its elements by a stride of 0: a few bytes could be any size.
    if prod(tensor.sizes) > len(flat_N) or last >= len(flat_N):
        raise NotATensor(
            f"a tensor of the sizes {list(tensor.sizes)} does not lie in its storage of "
            f"{len(flat_N)} elements; save tensor.contiguous()"
        )
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        flat_N[tensor.offset :], tensor.sizes, strides, writeable=False
    )
    return widened(view)


def _checked_axes(tensor: _Tensor) -> Iterator[tuple[int, int]]:
    numbers = (tensor.offset, *tensor.sizes, *tensor.strides)
    if not all(type(number) is int and 0 <= number < 2**40 for number in numbers):
        raise NotATensor("its sizes, strides or offset are no counts")
    if len(tensor.sizes) != len(tensor.strides) or len(tensor.sizes) > MAX_DIMENSIONS:
        raise NotATensor("its sizes do not fit its strides")
    if 0 in tensor.sizes:
        raise NotATensor(f"it is empty: its sizes are {list(tensor.sizes)}")
    yield from zip(tensor.sizes, tensor.strides, strict=True)


def widened(values: np.ndarray) -> np.ndarray:
    """fp32 of fp32, of fp16, or of the bits of bf16."""
    if values.dtype == BITS_OF_BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)
