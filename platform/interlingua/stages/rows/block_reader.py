"""A worker that reads a host: it opens it once, then reads block after block and stores its shards.

A block of passages is one shard for every block of the host that is read.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from interlingua.specs.extraction import (
    ExtractSpec,
    LastToken,
    Pooled,
    Reading,
    Spans,
    TokenPositions,
)
from interlingua.store.blocks import begin_block, digest_of, end_block
from interlingua.store.peak import note_peak
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import (
    LAST,
    POOLED,
    POOLED_WITH_FIRST,
    SPAN,
    TOKEN,
    ShardHeader,
    block_folder,
    shard_path,
    shard_rows,
    write_shard,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that opens one host: stages whose jobs are equal may share a worker."""

    spec: ExtractSpec  # of all splits: which of them are read is the stage's affair
    source: str
    revision: str | None
    device: str
    batch_tokens: int
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Passages that are read together, and the folder of the stage whose rows they become."""

    index: int
    passages: tuple[Passage, ...]
    out: Path  # named after the lock's owner: an orphan of a lost stage does not find it

    @property
    def digest(self) -> str:
        """A hash of which passages these are."""
        return digest_of(*(passage.passage_id for passage in self.passages))


class BlockReader:
    """A worker: opens the host once, then reads block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        from interlingua.models.hosts.activations import Reader

        torch.set_num_threads(job.threads)
        self._job = job
        self._reader = Reader(
            job.source,
            job.spec,
            revision=job.revision,
            device=job.device,
            batch_tokens=job.batch_tokens,
        )

    def __call__(self, block: Block) -> Mapping[str, int]:
        """Read the block, store its shards, then note that it is done; returns its counts."""
        started = time.process_time()
        texts = [(passage.passage_id, passage.text) for passage in block.passages]
        rows = self._reader.rows(texts, [passage.document_id for passage in block.passages])
        # In this order: a crash anywhere leaves a block without a note, which is read again.
        begin_block(block.out, block.index)
        for block_index, vectors_ND in rows.vectors_by_block.items():
            write_shard(
                shard_path(block_folder(block.out, block_index), block.index),
                self._header(block_index),
                shard_rows(rows.passage_ids, rows.positions, rows.num_tokens, vectors_ND),
            )
        # CPU time of this process: wall time depends on what else the machine runs.
        milliseconds = round(1000 * (time.process_time() - started))
        counts = {**rows.counts, "num_rows": len(rows.positions), "cpu_ms": milliseconds}
        end_block(block.out, block.index, block.digest, counts)
        note_peak(block.out)
        return counts

    def _header(self, block_index: int) -> ShardHeader:
        spec = self._job.spec
        return ShardHeader(
            host_tag=spec.host_tag,
            host_revision=self._job.revision or "",
            tokenizer_hash=self._reader.tokenizer_hash,
            block_index=block_index,
            read_mode=read_mode(spec.read),
            dtype=spec.dtype,
            max_length=spec.max_tokens,
        )


def read_mode(read: Reading) -> str:
    """The read mode in a shard's header: rows of two modes share keys, and are not comparable."""
    match read:
        case TokenPositions():
            return TOKEN
        case Spans():
            return SPAN
        case LastToken():
            return LAST
        case Pooled():
            return POOLED_WITH_FIRST if read.include_first else POOLED


def blocks_of(passages: Iterator[Passage], block_passages: int, out: Path) -> Iterator[Block]:
    """Blocks of `block_passages` passages, in the passages' order."""
    index = 0
    # Cut by number, so that a block's index and size fix its passages; its digest proves it.
    while block := tuple(islice(passages, block_passages)):
        yield Block(index, block, out)
        index += 1
