"""Stage `activations`: rows of one host; a block of passages is one shard for every block read.

A finished block is never redone. The stage itself only deals blocks out: its workers hold the
model, wherever they run.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.stages.adopt import opened_from
from interlingua.stages.backend import Context
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.lock import held_token, verify_token
from interlingua.store.passages import PASSAGES_NAME, Passage, count_by_split, read_passages
from interlingua.store.peak import note_peak
from interlingua.store.progress import MetricsLog
from interlingua.store.shards import ShardHeader, shard_path, shard_rows, write_shard
from interlingua.store.splits import recorded_access

DONE_FOLDER = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker must know to read blocks of one host."""

    spec: ExtractSpec
    source: str
    revision: str | None
    out: Path
    token: str  # of the stage's lock: an orphan of a lost stage must not publish
    device: str
    batch_tokens: int
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Passages that are read together."""

    index: int
    passages: tuple[Passage, ...]

    @property
    def digest(self) -> str:
        """A hash of which passages these are."""
        ids = "|".join(passage.passage_id for passage in self.passages)
        return hashlib.sha256(ids.encode()).hexdigest()[:16]


def run(
    spec: ExtractSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Read every block that is not done yet; the metrics count what was read and how."""
    place = context.placement.extraction
    job = _job(spec, inputs["host"], out, context)
    path = inputs["passages"].path / PASSAGES_NAME
    by_split = count_by_split(path)
    num_passages = sum(by_split.get(split, 0) for split in spec.splits)
    if not num_passages:
        raise ValueError(f"ExtractSpec.splits is {', '.join(spec.splits)}; no passage is in them")
    for folder in (out / DONE_FOLDER, *(layer_folder(out, k) for k in spec.block_indices)):
        folder.mkdir(exist_ok=True)
    counts: Counter[str] = Counter()
    with recorded_access(spec.splits, out) as access:
        blocks = _blocks(read_passages(path, spec.splits, access), place.block_passages)
        missing = _not_done(blocks, out, counts)
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
    _keep_only(out, num_blocks=-(-num_passages // place.block_passages))
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
        verify_token(self._job.out, self._job.token)
        done_path = _done_path(self._job.out, block.index)
        # A note of an attempt with other blocks must not vouch for the shards that come now.
        done_path.unlink(missing_ok=True)
        for block_index, vectors_ND in rows.vectors_by_block.items():
            write_shard(
                shard_path(layer_folder(self._job.out, block_index), block.index),
                self._header(block_index),
                shard_rows(rows.passage_ids, rows.positions, rows.num_tokens, vectors_ND),
            )
        milliseconds = round(1000 * (time.process_time() - started))
        counts = {**rows.counts, "num_rows": len(rows.positions), "cpu_ms": milliseconds}
        with write_atomically(done_path) as file:
            file.write(json.dumps({"digest": block.digest, "counts": counts}).encode())
        note_peak(self._job.out)
        return counts

    def _header(self, block_index: int) -> ShardHeader:
        spec = self._job.spec
        return ShardHeader(
            host_tag=spec.host_tag,
            host_revision=self._job.revision or "",
            tokenizer_hash=self._reader.tokenizer_hash,
            block_index=block_index,
            read_mode="pooled" if isinstance(spec.read, Pooled) else "token",
            dtype=spec.dtype,
            max_length=spec.max_tokens,
        )


def layer_folder(out: Path, block_index: int) -> Path:
    """Where the shards of one block of the host stand."""
    return out / f"output_of_block_{block_index:03d}"


def _job(spec: ExtractSpec, host: Artifact, out: Path, context: Context) -> Job:
    place = context.placement.extraction
    source, revision = opened_from(host)
    return Job(
        spec=spec,
        source=source,
        revision=revision,
        out=out,
        token=held_token(out),
        device=place.of_host(spec.host_tag)[1],
        batch_tokens=place.batch_tokens,
        threads=context.placement.threads_per_worker,
    )


def _blocks(passages: Iterator[Passage], block_passages: int) -> Iterator[Block]:
    index = 0
    while block := tuple(islice(passages, block_passages)):
        yield Block(index, block)
        index += 1


def _not_done(blocks: Iterable[Block], out: Path, counts: Counter[str]) -> Iterator[Block]:
    """The blocks to read; the counts of the others are added."""
    for block in blocks:
        path = _done_path(out, block.index)
        done = json.loads(path.read_bytes()) if path.exists() else None
        # A block of another size, from before the placement changed, holds other passages.
        if done is not None and done["digest"] == block.digest:
            counts.update(done["counts"])
        else:
            yield block


def _keep_only(out: Path, num_blocks: int) -> None:
    """Remove what an attempt with smaller blocks left behind the last block."""
    wanted = {f"{index:06d}" for index in range(num_blocks)}
    for path in (*out.glob("output_of_block_*/shard-*"), *out.glob(f"{DONE_FOLDER}/*.json")):
        if path.stem.removeprefix("shard-") not in wanted:
            path.unlink()


def _done_path(out: Path, index: int) -> Path:
    return out / DONE_FOLDER / f"{index:06d}.json"
