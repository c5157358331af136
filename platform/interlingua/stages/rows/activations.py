"""Stage `activations`: rows of one host; a block of passages is one shard for every block read.

A finished block is never redone. The stage itself only deals blocks out: its workers hold the
model, wherever they run.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.extraction import ExtractSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.splits import Split
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

if TYPE_CHECKING:
    from interlingua.stages.rows.block_reader import Job


class ActivationsInputs(NamedTuple, Generic[Member]):
    """The host that reads, and the passages that it reads."""

    host: Member
    passages: Member


def activations_stage(host: Stage, passages: Stage, spec: ExtractSpec) -> Stage:
    """The rows of any host, made here or adopted."""
    return Stage(
        kind="activations",
        label="-".join([spec.host_tag, *spec.splits]),
        spec=spec,
        run=run,
        inputs=ActivationsInputs(host, passages),
        revision=2,
        work=WorkKind.EXTRACTION,
        device=WorkKind.EXTRACTION,
    )


def run(
    spec: ExtractSpec, inputs: ActivationsInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Read every block that is not done yet; the metrics count what was read and how."""
    from interlingua.stages.rows.block_reader import BlockReader, blocks_of
    from interlingua.store.blocks import keep_blocks, not_done
    from interlingua.store.progress import MetricsLog
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.splits import recorded_access

    place, job = context.placement.extraction, _job(spec, inputs.host, context)
    num_passages = _begun(spec, inputs.passages, out)
    counts: Counter[str] = Counter()
    with recorded_access(spec.splits, out) as access:
        passages = read_passages(inputs.passages.path / PASSAGES_NAME, spec.splits, access)
        # A generator: the pool draws from it, and only then `counts` gets the finished blocks. All
        # passages pass through it, so that the ledger of a resumed stage is whole.
        missing = not_done(blocks_of(passages, place.block_passages, out), counts)
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
    # An earlier attempt with smaller blocks left more of them: their rows would come twice.
    keep_blocks(out, -(-num_passages // place.block_passages), "output_of_block_*/shard-*")
    assert counts["num_passages"] == num_passages, f"{counts['num_passages']} of {num_passages}"
    _check_any(spec, counts)
    return {**counts, "rows_per_cpu_second": 1000 * counts["num_rows"] / counts["cpu_ms"]}


def _check_any(spec: ExtractSpec, counts: Mapping[str, int]) -> None:
    """Raise where no passage has anything to read: what comes later would not say why."""
    if not counts["num_rows"]:
        tag = spec.host_tag
        raise ValueError(
            f"hosts.{tag}: no row of {', '.join(spec.splits)}; of {counts['num_passages']} "
            f"passages {counts['num_truncated']} are longer than max_tokens ({spec.max_tokens}), "
            f"and none has what {spec.read} reads. Raise hosts.{tag}.max_tokens, or set read or "
            "the lengths of passages (passages.pieces, least_words, most_words) to fit"
        )


def _begun(spec: ExtractSpec, passages: Artifact, out: Path) -> int:
    """Make the folders of the blocks; returns the number of passages to read."""
    from interlingua.store.blocks import DONE_FOLDER
    from interlingua.store.rows.passages import PASSAGES_NAME, count_by_split
    from interlingua.store.rows.shards import block_folder

    by_split = count_by_split(passages.path / PASSAGES_NAME)
    num_passages = sum(by_split.get(split, 0) for split in spec.splits)
    if not num_passages:
        raise ValueError(f"ExtractSpec.splits is {', '.join(spec.splits)}; no passage is in them")
    for folder in (out / DONE_FOLDER, *(block_folder(out, k) for k in spec.block_indices)):
        folder.mkdir(exist_ok=True)
    return num_passages


def _job(spec: ExtractSpec, host: Artifact, context: Context) -> "Job":
    from interlingua.stages.rows.block_reader import Job
    from interlingua.store.hosts import opened_from

    place = context.placement.extraction
    source, revision = opened_from(host)
    return Job(
        # All splits: stages that read one host in the same way have equal jobs, and share a
        # worker that has it open.
        spec=replace(spec, splits=tuple(Split)),
        source=source,
        revision=revision,
        device=place.of_host(spec.host_tag)[1],
        batch_tokens=place.batch_tokens,
        threads=context.placement.threads_per_worker,
    )
