"""Stage `activations`: rows of one host; a block of passages is one shard for every block read.

A finished block is never redone. The stage itself only deals blocks out: its workers hold the
model, wherever they run.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from interlingua.specs.extraction import ExtractSpec, Pooled, TokenPositions
from interlingua.specs.splits import Split
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.blocks import (
    DONE_FOLDER,
    begin_block,
    digest_of,
    done_counts,
    end_block,
    keep_blocks,
)
from interlingua.store.hosts import opened_from
from interlingua.store.peak import note_peak
from interlingua.store.progress import MetricsLog
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, count_by_split, read_passages
from interlingua.store.rows.shards import (
    POOLED,
    POOLED_WITH_FIRST,
    TOKEN,
    ShardHeader,
    block_folder,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.rows.splits import recorded_access


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker must know to open one host: stages whose jobs are equal may share a worker."""

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


def run(
    spec: ExtractSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Read every block that is not done yet; the metrics count what was read and how."""
    place = context.placement.extraction
    job = _job(spec, inputs["host"], context)
    path = inputs["passages"].path / PASSAGES_NAME
    by_split = count_by_split(path)
    num_passages = sum(by_split.get(split, 0) for split in spec.splits)
    if not num_passages:
        raise ValueError(f"ExtractSpec.splits is {', '.join(spec.splits)}; no passage is in them")
    for folder in (out / DONE_FOLDER, *(block_folder(out, k) for k in spec.block_indices)):
        folder.mkdir(exist_ok=True)
    counts: Counter[str] = Counter()
    with recorded_access(spec.splits, out) as access:
        blocks = _blocks(read_passages(path, spec.splits, access), place.block_passages, out)
        missing = _not_done(blocks, counts)
        log, started, num_read = MetricsLog(out, resume_step=0), time.monotonic(), 0
        workers, _ = place.of_host(spec.host_tag)
        for block_counts in context.pool.map(BlockReader, job, missing, workers):
            counts.update(block_counts)
            num_read += block_counts["num_passages"]
            speed = num_read / (time.monotonic() - started)
            log.append(
                counts["num_passages"],
                num_steps=num_passages,
                passages_per_second=speed,
                seconds_left=(num_passages - counts["num_passages"]) / speed,
            )
    keep_blocks(out, -(-num_passages // place.block_passages), "output_of_block_*/shard-*")
    assert counts["num_passages"] == num_passages, f"{counts['num_passages']} of {num_passages}"
    return {**counts, "rows_per_cpu_second": 1000 * counts["num_rows"] / counts["cpu_ms"]}


class BlockReader:
    """A worker: opens the host once, then reads block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        from interlingua.models.activations import Reader

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
        rows = self._reader.rows(texts)
        begin_block(block.out, block.index)
        for block_index, vectors_ND in rows.vectors_by_block.items():
            write_shard(
                shard_path(block_folder(block.out, block_index), block.index),
                self._header(block_index),
                shard_rows(rows.passage_ids, rows.positions, rows.num_tokens, vectors_ND),
            )
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


def read_mode(read: Pooled | TokenPositions) -> str:
    """What a shard's header says of it; rows of two modes are other rows of the same keys."""
    if isinstance(read, TokenPositions):
        return TOKEN
    return POOLED_WITH_FIRST if read.include_first else POOLED


def _job(spec: ExtractSpec, host: Artifact, context: Context) -> Job:
    place = context.placement.extraction
    source, revision = opened_from(host)
    return Job(
        spec=replace(spec, splits=tuple(Split)),
        source=source,
        revision=revision,
        device=place.of_host(spec.host_tag)[1],
        batch_tokens=place.batch_tokens,
        threads=context.placement.threads_per_worker,
    )


def _blocks(passages: Iterator[Passage], block_passages: int, out: Path) -> Iterator[Block]:
    index = 0
    while block := tuple(islice(passages, block_passages)):
        yield Block(index, block, out)
        index += 1


def _not_done(blocks: Iterable[Block], counts: Counter[str]) -> Iterator[Block]:
    """The blocks to read; the counts of the others are added."""
    for block in blocks:
        done = done_counts(block.out, block.index, block.digest)
        if done is None:
            yield block
        else:
            counts.update(done)
