"""The split of a text, the splits that a stage may read, and the ids it read. Knows no text format.

A split is a function of a content hash and a seed alone: no order, count or machine can change it.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet

LEDGER_NAME = "consumed.parquet"
LEDGER_SCHEMA = pa.schema([("passage_id", pa.string()), ("split", pa.string())])

ID_LENGTH = 16
ID_DTYPE = np.dtype(f"S{ID_LENGTH}")
HASH_BITS = 64
LEAST_BYTES = 1 << 16


class SplitViolation(RuntimeError):
    """A stage asked for rows of a split that it may not read."""


def passage_id(text: str) -> str:
    """Sixteen hex digits of the text's content hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def split_of(identity: str, spec: SplitSpec) -> Split:
    """The split of a passage id or document id."""
    return splitter(spec)(identity)


def splitter(spec: SplitSpec) -> Callable[[str], Split]:
    """The function of a passage id or document id that gives its split."""
    splits, bounds = zip(*_upper_bounds(spec), strict=True)

    @lru_cache(maxsize=1)  # rows of a document stand together
    def split(identity: str) -> Split:
        digest = hashlib.sha256(f"{spec.seed}|{identity}".encode()).digest()
        # The first eight bytes of the hash, as a point uniform on 0 .. 2**64 - 1.
        point = int.from_bytes(digest[: HASH_BITS // 8], "big")
        found: Split = splits[bisect_right(bounds, point)]
        return found

    return split


class SplitAccess:
    """The splits that one stage may read, and the ids that it really consumed."""

    def __init__(self, permitted: Iterable[Split]) -> None:
        self.permitted = frozenset(permitted)
        self._consumed = {split: _Ids() for split in sorted(self.permitted)}

    def permit(self, splits: Iterable[Split]) -> None:
        """Raise SplitViolation unless every one of the splits may be read."""
        asked = sorted(set(splits))
        if not self.permitted.issuperset(asked):
            allowed = ", ".join(sorted(self.permitted)) or "none"
            raise SplitViolation(
                f"asked to read the splits {', '.join(asked)}; this stage may read: {allowed}"
            )

    def consume(self, identity: str, split: Split) -> None:
        """Note that a passage was read."""
        # `permit` sorts and joins for its message; this is called for every row.
        if split not in self.permitted:
            self.permit([split])
        self._consumed[split].add(identity)

    def consumed(self) -> dict[Split, frozenset[str]]:
        """The ids noted so far, by split."""
        unique = {split: ids.unique() for split, ids in self._consumed.items()}
        return {
            split: frozenset(ids.astype(str).tolist()) for split, ids in unique.items() if len(ids)
        }

    def write(self, out: Path) -> None:
        """Store the ledger in the stage's folder, joined with that of an earlier attempt."""
        path = out / LEDGER_NAME
        parts = [(split, ids.unique()) for split, ids in self._consumed.items()]
        # What an earlier attempt trained on is in the checkpoint that this one went on from.
        if path.exists():
            earlier = read_consumed(path).items()
            parts += [(split, np.array(list(ids), ID_DTYPE)) for split, ids in earlier]
        with write_atomically(path) as file:
            pq.write_table(_ledger(parts), file)


class _Ids:
    """A set of ids, for which 16 bytes of each are held, and as much again while it grows."""

    # Not a set of Python's: 110 bytes an id, and a corpus has millions.
    def __init__(self) -> None:
        self._unique, self._new = np.zeros(0, ID_DTYPE), bytearray()

    def add(self, identity: str) -> None:
        """Note an id."""
        name = identity.encode()
        if len(name) > ID_LENGTH:
            raise ValueError(f"id {identity!r} is longer than {ID_LENGTH} characters")
        self._new += name.ljust(ID_LENGTH, b"\0")
        # A share of what is there: ids that come again and again are sorted as rarely as new ones.
        if 2 * len(self._new) > max(self._unique.nbytes, LEAST_BYTES):
            self.unique()

    def unique(self) -> NDArray[np.bytes_]:
        """Every id once, ascending."""
        if self._new:
            ids = np.concatenate([self._unique, np.frombuffer(self._new, ID_DTYPE)])
            self._new = bytearray()
            ids.sort()
            self._unique = ids[_is_first(ids)]
        return self._unique


@contextmanager
def recorded_access(permitted: Iterable[Split], out: Path) -> Iterator[SplitAccess]:
    """A SplitAccess whose ledger is stored in the stage's folder when the block ends cleanly."""
    access = SplitAccess(permitted)
    yield access
    access.write(out)


def read_consumed(path: Path) -> dict[Split, set[str]]:
    """The ids of a ledger file, by split."""
    consumed: dict[Split, set[str]] = {}
    columns = read_parquet(path, schema=LEDGER_SCHEMA).to_pydict()
    for identity, split in zip(columns["passage_id"], columns["split"], strict=True):
        consumed.setdefault(Split(split), set()).add(identity)
    return consumed


def _ledger(parts: Sequence[tuple[Split, NDArray[np.bytes_]]]) -> pa.Table:
    """The pairs of id and split of some parts, each pair once, ascending."""
    names = sorted(Split)
    pairs = np.empty(sum(len(ids) for _, ids in parts), [("id", ID_DTYPE), ("rank", np.uint8)])
    begin = 0
    for split, ids in parts:
        part = pairs[begin : begin + len(ids)]
        part["id"], part["rank"] = ids, names.index(split)
        begin += len(ids)
    # As one string of bytes each: sorted in place, by id and then by split.
    strings = pairs.view(f"S{pairs.itemsize}")
    strings.sort()
    pairs = pairs[_is_first(strings)]
    splits = pa.DictionaryArray.from_arrays(pairs["rank"], [split.value for split in names])
    columns = [pa.array(pairs["id"], pa.binary()), splits]
    return pa.table([column.cast(pa.string()) for column in columns], schema=LEDGER_SCHEMA)


def _is_first(sorted_N: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Whether each is another than the one before it."""
    return np.append(True, sorted_N[1:] != sorted_N[:-1])[: len(sorted_N)]


@lru_cache
def _upper_bounds(spec: SplitSpec) -> tuple[tuple[Split, int], ...]:
    # Exact fractions of the whole range: rounding can neither move a bound from one platform to
    # another nor leave a gap below the last one.
    shares = {split: Fraction(share) for split, share in spec.shares().items()}
    total = sum(shares.values())
    cumulative = Fraction(0)
    bounds = []
    for split, share in shares.items():
        cumulative += share
        bounds.append((split, int(cumulative / total * 2**HASH_BITS)))
    return tuple(bounds)
