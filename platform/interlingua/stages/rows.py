"""Activations of one host as a stage reads them: by split, by key, finite rows only.

Knows no model. Rows lie in mapped files: what is not asked for is not read.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from interlingua.specs.splits import Split
from interlingua.stages.extract import layer_folder
from interlingua.store.artifact import Artifact
from interlingua.store.shards import Shard, ShardIndex, list_shards, read_shard
from interlingua.store.splits import LEDGER_NAME, SplitAccess, read_consumed


class _SplitRows:
    """The rows of some splits of one host, read in one mode."""

    read_mode: str

    def __init__(
        self, artifact: Artifact, block_index: int, splits: Iterable[Split], access: SplitAccess
    ) -> None:
        asked = frozenset(splits)
        access.permit(asked)
        ledger = read_consumed(artifact.path / LEDGER_NAME)
        self._split_of = {i: split for split in asked for i in ledger.get(split, ())}
        paths = list_shards(layer_folder(artifact.path, block_index))
        if not paths:
            raise ValueError(f"{artifact.path} holds no rows of block {block_index}")
        self.num_passages = len(self._split_of)  # also those without a finite row
        self._access = access
        self._shards = [read_shard(path) for path in paths]
        self._index = ShardIndex(self._shards)
        header = self._shards[0].header
        if self.read_mode and header.read_mode != self.read_mode:
            raise ValueError(
                f"{artifact.path} holds {header.read_mode} rows, not {self.read_mode} ones"
            )
        self.host_tag = header.host_tag
        self.width = self._shards[0].rows.vectors_ND.shape[1]

    def _finite_keys(self, shard: Shard) -> list[tuple[str, int]]:
        is_finite_N = shard.rows.is_finite_N
        ids = shard.rows.passage_ids_N[is_finite_N].astype(str).tolist()
        positions = shard.rows.positions_N[is_finite_N].tolist()
        return [key for key in zip(ids, positions, strict=True) if key[0] in self._split_of]

    def _note(self, passage_ids: Iterable[str]) -> None:
        for passage_id in passage_ids:
            self._access.consume(passage_id, self._split_of[passage_id])


class PooledRows(_SplitRows):
    """The pooled rows of some splits of one host, one a passage."""

    read_mode = "pooled"

    def finite_ids(self) -> list[str]:
        """The passages of the asked splits whose row is finite, in the order of the files."""
        return [i for ids in self.id_blocks() for i in ids]

    def id_blocks(self) -> Iterator[list[str]]:
        """The same, a shard at a time."""
        blocks = ([i for i, _ in self._finite_keys(shard)] for shard in self._shards)
        return (ids for ids in blocks if ids)

    def vectors(self, passage_ids: Sequence[str]) -> np.ndarray:
        """[N, D] raw, in the order of the ids, each noted as consumed."""
        rows = self._index.rows(passage_ids)
        self._note(passage_ids)
        return rows.vectors_ND


class TokenRows(_SplitRows):
    """The rows of some splits of one host at token positions, several a passage."""

    read_mode = "token"

    def finite_keys(self) -> list[tuple[str, int]]:
        """Passage and position of every finite row of the asked splits, as the files have them."""
        return [key for shard in self._shards for key in self._finite_keys(shard)]

    def vectors(self, keys: Sequence[tuple[str, int]]) -> np.ndarray:
        """[N, D] raw, in the order of the keys, each passage noted as consumed."""
        rows = self._index.rows_at(keys)
        self._note(passage_id for passage_id, _ in keys)
        return rows.vectors_ND


class KeyedRows(TokenRows):
    """The same, of either mode: a pooled row stands at position -1."""

    read_mode = ""

    @property
    def num_expected(self) -> int:
        """How many rows there would be if every one were finite."""
        if all(shard.header.read_mode == "pooled" for shard in self._shards):
            return self.num_passages
        return sum(
            passage_id in self._split_of
            for shard in self._shards
            for passage_id in shard.rows.passage_ids_N.astype(str).tolist()
        )


def shared_keys(several: Sequence[KeyedRows]) -> list[tuple[str, int]]:
    """The rows that every one of these hosts has a finite one of, in the first's order."""
    first, *others = (rows.finite_keys() for rows in several)
    common = set(first).intersection(*others)
    return [key for key in first if key in common]


def shared_ids(several: Sequence[PooledRows]) -> list[str]:
    """The passages for which every one of these hosts has a finite row, in the first's order."""
    first, *others = (rows.finite_ids() for rows in several)
    common = set(first).intersection(*others)
    return [passage_id for passage_id in first if passage_id in common]
