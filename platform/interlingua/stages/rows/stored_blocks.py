"""Rows of a file as shards, a block of them each; before that, some compared with their host.

A block is written whole, then noted as done. N rows, D width.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.host import hash_of_vocabulary, load_tokenizer
from interlingua.models.hosts.nearness import around, check_near, median_cosines, size_of
from interlingua.sources.activation_file import BadRows
from interlingua.sources.fitting_vectors import check_size
from interlingua.sources.joined_rows import JoinedRows
from interlingua.sources.vector_file import Vectors
from interlingua.specs.extraction import StoredRowsSpec
from interlingua.specs.placement import ExtractionPlacement
from interlingua.stages.rows.block_reader import read_mode
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
from interlingua.store.progress import MetricsLog
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import (
    ShardHeader,
    block_folder,
    shard_path,
    shard_rows,
    write_shard,
)

COSINE = "cosine_of_host"


def check_of_host(spec: StoredRowsSpec, host: Artifact, vectors: Vectors) -> None:
    """Raise where the host has no such block, or is of another width."""
    size = size_of(*opened_from(host))
    check_size(
        vectors,
        spec.host_tag,
        spec.block_indices[0],
        width=size.width,
        num_blocks=size.num_blocks,
    )


def texts_of(few: JoinedRows, passages: Iterable[Passage]) -> Mapping[str, str]:
    """The texts of some rows by passage."""
    ids = set(few.passage_ids_N.astype(str).tolist())
    return {one.passage_id: one.text for one in passages if one.passage_id in ids} if ids else {}


def compared(
    spec: StoredRowsSpec,
    host: Artifact | None,
    vectors: Vectors,
    few: JoinedRows,
    texts: Mapping[str, str],
    place: ExtractionPlacement,
) -> Mapping[str, float]:
    """The median cosine of some rows with the host's own; raises where they are not its rows."""
    assert host is not None
    h_ND = vectors.take(few.numbers_N)
    source, revision = opened_from(host)
    reader = Reader(
        source,
        around(spec.reading, size_of(source, revision).num_blocks),
        revision=revision,
        device=place.of_host(spec.host_tag)[1],
        batch_tokens=place.batch_tokens,
    )
    keyed = [(one, texts[one]) for one in few.passage_ids_N.astype(str).tolist()]
    cosines = median_cosines(reader, spec.reading, keyed, few.positions_N.tolist(), h_ND)
    if not cosines:
        return {}  # the host cuts all of these texts, or the rows are none: that is found later
    check_near(vectors.where, spec.reading, cosines)
    return {COSINE: cosines[spec.block_indices[0]]}


def header_of(spec: StoredRowsSpec, host: Artifact | None, vectors: Vectors) -> ShardHeader:
    """The header of all shards; without a host, positions are those of a tokenizer of its own."""
    revision, tokenizer_hash = "", f"unknown-{spec.host_tag}"
    if host is not None:
        source, named = opened_from(host)
        tokenizer_hash = hash_of_vocabulary(load_tokenizer(source, revision=named))
        revision = named or ""
    return ShardHeader(
        host_tag=spec.host_tag,
        host_revision=revision,
        tokenizer_hash=tokenizer_hash,
        block_index=spec.block_indices[0],
        read_mode=read_mode(spec.read),
        dtype=vectors.dtype,
        max_length=spec.max_tokens,
    )


def write_blocks(
    header: ShardHeader, vectors: Vectors, rows: JoinedRows, out: Path, block_rows: int
) -> Mapping[str, float]:
    """Store the rows, block after block; raises at the end where some are no activations."""
    for needed in (out / DONE_FOLDER, block_folder(out, header.block_index)):
        needed.mkdir(exist_ok=True)
    num_blocks = -(-len(rows.numbers_N) // block_rows)
    counts, bad, log = Counter[str](), BadRows(), MetricsLog(out, resume_step=0)
    for index in range(num_blocks):
        part = rows.part(index * block_rows, (index + 1) * block_rows)
        digest = _digest(header, part)
        done = done_counts(out, index, digest)
        if done is None:
            done = _stored(out, index, header, vectors, part, bad)
            if bad.first is None:
                end_block(out, index, digest, done)
        counts.update(done)
        log.append(index + 1, num_steps=num_blocks)
    bad.check(vectors.where)
    keep_blocks(out, num_blocks, "output_of_block_*/shard-*")
    return {**counts, "rows_per_cpu_second": 1000 * counts["num_rows"] / max(1, counts["cpu_ms"])}


def _stored(
    out: Path, index: int, header: ShardHeader, vectors: Vectors, part: JoinedRows, bad: BadRows
) -> Mapping[str, int]:
    """Write the shard of some rows unless one is bad, after which the rest is only checked."""
    started = time.process_time()
    h_ND = vectors.take(part.numbers_N)
    bad.note(part.numbers_N, h_ND)
    if bad.first is None:
        begin_block(out, index)
        ids, positions = part.passage_ids_N.astype(str).tolist(), part.positions_N.tolist()
        # How many tokens a text has is known to whoever read it.
        path = shard_path(block_folder(out, header.block_index), index)
        write_shard(path, header, shard_rows(ids, positions, [0] * len(ids), h_ND))
    milliseconds = round(1000 * (time.process_time() - started))
    return {"num_rows": len(h_ND), "cpu_ms": milliseconds}


def _digest(header: ShardHeader, part: JoinedRows) -> str:
    """A hash of which rows these are; the file itself is that of the spec."""
    columns = (part.numbers_N, part.passage_ids_N, part.positions_N)
    return digest_of(header.tokenizer_hash, *(column.tobytes().hex() for column in columns))
