"""Activations of one host as a stage reads them: by split, by passage id, finite rows only.

Knows no model. Rows lie in mapped files: what is not asked for is not read.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from interlingua.specs.splits import Split
from interlingua.stages.extract import layer_folder
from interlingua.store.artifact import Artifact
from interlingua.store.shards import Shard, list_shards, read_shard, rows_by_id
from interlingua.store.splits import LEDGER_NAME, SplitAccess, read_consumed


class PooledRows:
    """The pooled rows of some splits of one host, one a passage."""

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
        header = self._shards[0].header
        if header.read_mode != "pooled":
            raise ValueError(f"{artifact.path} holds {header.read_mode} rows, not pooled ones")
        self.host_tag = header.host_tag
        self.width = self._shards[0].rows.vectors_ND.shape[1]

    def finite_ids(self) -> list[str]:
        """The passages of the asked splits whose row is finite, in the order of the files."""
        return [i for shard in self._shards for i in self._finite_ids(shard)]

    def id_blocks(self) -> Iterator[list[str]]:
        """The same, a shard at a time."""
        return (ids for shard in self._shards if (ids := self._finite_ids(shard)))

    def vectors(self, passage_ids: Sequence[str]) -> np.ndarray:
        """[N, D] raw, in the order of the ids, each noted as consumed."""
        rows = rows_by_id(self._shards, passage_ids)
        for passage_id in passage_ids:
            self._access.consume(passage_id, self._split_of[passage_id])
        return rows.vectors_ND

    def _finite_ids(self, shard: Shard) -> list[str]:
        ids = shard.rows.passage_ids_N[shard.rows.is_finite_N].astype(str).tolist()
        return [passage_id for passage_id in ids if passage_id in self._split_of]


def shared_ids(several: Sequence[PooledRows]) -> list[str]:
    """The passages for which every one of these hosts has a finite row, in the first's order."""
    first, *others = (rows.finite_ids() for rows in several)
    common = set(first).intersection(*others)
    return [passage_id for passage_id in first if passage_id in common]
