"""The split of a text, the splits that a stage may read, and the ids it read. Knows no text format.

A split is a function of a content hash and a seed alone: no order, count or machine can change it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import read_parquet

LEDGER_NAME = "consumed.parquet"
LEDGER_SCHEMA = pa.schema([("passage_id", pa.string()), ("split", pa.string())])

ID_LENGTH = 16
HASH_BITS = 64


class SplitViolation(RuntimeError):
    """A stage asked for rows of a split that it may not read."""


def passage_id(text: str) -> str:
    """Sixteen hex digits of the text's content hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def split_of(identity: str, spec: SplitSpec) -> Split:
    """The split of a passage id or document id."""
    digest = hashlib.sha256(f"{spec.seed}|{identity}".encode()).digest()
    # The first eight bytes of the hash, as a point uniform on 0 .. 2**64 - 1.
    point = int.from_bytes(digest[: HASH_BITS // 8], "big")
    return next(split for split, bound in _upper_bounds(spec) if point < bound)


class SplitAccess:
    """The splits that one stage may read, and the ids that it really consumed."""

    def __init__(self, permitted: Iterable[Split]) -> None:
        self.permitted = frozenset(permitted)
        self._consumed: dict[Split, set[str]] = {split: set() for split in sorted(self.permitted)}

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
        return {split: frozenset(ids) for split, ids in self._consumed.items() if ids}

    def write(self, out: Path) -> None:
        """Store the ledger in the stage's folder, joined with that of an earlier attempt."""
        path = out / LEDGER_NAME
        pairs = _pairs(self._consumed)
        # What an earlier attempt trained on is in the checkpoint that this one went on from.
        if path.exists():
            pairs |= _pairs(read_consumed(path))
        rows = [{"passage_id": identity, "split": split} for identity, split in sorted(pairs)]
        table = pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA)
        with write_atomically(path) as file:
            pq.write_table(table, file)


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


def _pairs(consumed: Mapping[Split, Iterable[str]]) -> set[tuple[str, str]]:
    return {(identity, split.value) for split, ids in consumed.items() for identity in ids}


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
