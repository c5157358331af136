"""Activations of one host as a stage reads them: by split, by key, finite rows only.

Knows no model. Rows lie in mapped files: what is not asked for is not read.
"""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.shards import (
    SPAN,
    TOKEN,
    Key,
    Shard,
    ShardHeader,
    ShardIndex,
    block_folder,
    list_shards,
    read_shard,
)
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed


class KeyedRows:
    """The rows of some splits of one host by passage and position: -1 for a whole passage."""

    def __init__(
        self, artifact: Artifact, block_index: int, splits: Iterable[Split], access: SplitAccess
    ) -> None:
        asked = frozenset(splits)
        access.permit(asked)
        # Shards know no split: the ledger of the reading says which passage is of which.
        ledger = read_consumed(artifact.path / LEDGER_NAME)
        self._split_of = {i: split for split in asked for i in ledger.get(split, ())}
        paths = list_shards(block_folder(artifact.path, block_index))
        if not paths:
            raise ValueError(f"{artifact.path} holds no rows of block {block_index}")
        self._access = access
        self._shards = [read_shard(path) for path in paths]
        self._index = ShardIndex(self._shards)
        self.header = self._shards[0].header
        self.host_tag = self.header.host_tag
        self.width = self._shards[0].rows.vectors_ND.shape[1]

    @property
    def num_expected(self) -> int:
        """The number of rows if every passage had its own and all were finite."""
        if self.header.read_mode not in (TOKEN, SPAN):
            return len(self._split_of)  # also those without a row
        stored = (shard.rows.passage_ids_N.astype(str).tolist() for shard in self._shards)
        return sum(passage_id in self._split_of for ids in stored for passage_id in ids)

    def finite_keys(self) -> list[Key]:
        """Passage and position of every finite row of the asked splits, as the files have them."""
        return [key for shard in self._shards for key in self._finite_keys(shard)]

    def vectors(self, keys: Sequence[Key]) -> np.ndarray:
        """[N, D] raw, in the order of the keys, which may repeat; passages count as consumed."""
        unique, places = distinct(keys)
        h_UD = self._index.rows_at(unique).vectors_ND
        self.consume(unique)
        # `distinct` is in order of first appearance: without repeats it is the keys' own order.
        return h_UD if len(unique) == len(keys) else h_UD[places]

    def consume(self, keys: Iterable[Key]) -> None:
        """Note the passages of these keys as consumed; their vectors are read elsewhere."""
        for passage_id, _ in keys:
            self._access.consume(passage_id, self._split_of[passage_id])

    def _finite_keys(self, shard: Shard) -> list[Key]:
        is_finite_N = shard.rows.is_finite_N
        ids = shard.rows.passage_ids_N[is_finite_N].astype(str).tolist()
        positions = shard.rows.positions_N[is_finite_N].tolist()
        return [key for key in zip(ids, positions, strict=True) if key[0] in self._split_of]


def distinct(keys: Sequence[Key]) -> tuple[list[Key], list[int]]:
    """Every key once, and the place of each of `keys` among them.

    Several texts of an activation, or a short corpus, repeat keys; rows are read once.
    """
    place = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return list(place), [place[key] for key in keys]


def shared_keys(several: Sequence[KeyedRows]) -> list[Key]:
    """The keys of which every one of these hosts has a finite row, in the first's order."""
    for other in several[1:]:
        _check_joinable(several[0].header, other.header)
    first, *others = (rows.finite_keys() for rows in several)
    # In the first's order, not a set's, which differs from process to process.
    common = set(first).intersection(*others)
    return [key for key in first if key in common]


def _check_joinable(first: ShardHeader, other: ShardHeader) -> None:
    """Raise where equal keys would be of rows that were read in other ways."""
    if first.read_mode != other.read_mode:
        raise ValueError(
            f"rows of {first.host_tag} are {first.read_mode}, of {other.host_tag} "
            f"{other.read_mode}; not joined: read both in the same way"
        )
    # Means and last tokens have no position, spans go by characters: any tokenizers are joined.
    if first.read_mode == TOKEN and first.tokenizer_hash != other.tokenizer_hash:
        raise ValueError(
            f"{first.host_tag} and {other.host_tag} have other tokenizers, so a position is "
            "another word in each; not joined: read passages (Pooled), last tokens (LastToken) "
            "or sentences (Spans), or hosts of one tokenizer"
        )


def opened_rows(artifact: Artifact, splits: Sequence[Split], access: SplitAccess) -> KeyedRows:
    """The rows of an activations artifact that was read at one block."""
    (block_index,) = artifact.record.spec["block_indices"]
    return KeyedRows(artifact, block_index, splits, access)


def keyed_choice(keys: Sequence[Key], count: int, *, seed: int) -> list[Key]:
    """Up to `count` keys, drawn by seed and key, in the order in which they came.

    Hosts that lost different rows still draw alike from those that they share.
    """
    # A lot of its own for each key; drawn by place, one lost row would shift all that follow.
    lots = [zlib.crc32(f"{seed}|{passage_id}|{position}".encode()) for passage_id, position in keys]
    places = sorted(range(len(keys)), key=lambda place: (lots[place], keys[place]))[:count]
    return [keys[place] for place in sorted(places)]
