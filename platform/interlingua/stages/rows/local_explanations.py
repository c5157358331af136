"""The explanations of a model that runs here: block after block, by workers or in this process.

A finished block is never made again. The rows of all blocks are joined into one file in the end.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interlingua.sources.source import Site
from interlingua.sources.teachers.local_teacher import REASONS
from interlingua.specs.teachers import LocalTeacher
from interlingua.specs.training import TeachSpec
from interlingua.stages.rows.block_teacher import (
    BLOCKS_FOLDER,
    NUM_SITES,
    BlockTeacher,
    Job,
    block_path,
    blocks_of,
)
from interlingua.stages.rows.explained_sites import Sites
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.blocks import DONE_FOLDER, keep_blocks, not_done
from interlingua.store.hosts import opened_from
from interlingua.store.progress import MetricsLog
from interlingua.store.rows.explanations import EXPLANATIONS_NAME, read_rows, write_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, read_passages
from interlingua.store.rows.splits import SplitAccess, recorded_access


def explained_in_blocks(
    spec: TeachSpec,
    passages: Artifact,
    tokens: tuple[Artifact, Artifact] | None,
    model: Artifact,
    *,
    out: Path,
    context: Context,
) -> Mapping[str, Any]:
    """Explain every block that is not done yet; the metrics count what came of every answer."""
    place, job = context.placement.verbalizing, _job(spec, model, context)
    for name in (BLOCKS_FOLDER, DONE_FOLDER):
        (out / name).mkdir(exist_ok=True)
    counts: Counter[str] = Counter()
    with recorded_access(spec.splits, out) as access:
        # Twice through the texts rather than once with all of them in memory.
        num_sites = sum(1 for _ in _asked(spec, passages, tokens, access))
        blocks = blocks_of(_asked(spec, passages, tokens, access), place.block_rows, out)
        missing = not_done(blocks, counts)
        log, started, num_explained = MetricsLog(out, resume_step=0), time.monotonic(), 0
        for block_counts in context.pool.map(BlockTeacher, job, missing, place.workers):
            counts.update(block_counts)
            num_explained += block_counts[NUM_SITES]
            speed = num_explained / (time.monotonic() - started)
            log.append(
                counts[NUM_SITES],
                num_steps=num_sites,
                texts_per_second=speed,
                seconds_left=(num_sites - counts[NUM_SITES]) / speed,
            )
    # An earlier attempt with smaller blocks left more of them: their rows would come twice.
    num_blocks = -(-num_sites // place.block_rows)
    keep_blocks(out, num_blocks, f"{BLOCKS_FOLDER}/*")
    _check_any(spec, counts)
    # Joined already: the process died before the record was written, and its blocks may be gone.
    if not (out / EXPLANATIONS_NAME).exists():
        paths = [block_path(out, index) for index in range(num_blocks)]
        write_explanations(out, (row for path in paths for row in read_rows(path)))
    shutil.rmtree(out / BLOCKS_FOLDER)
    return dict(counts)


def _asked(
    spec: TeachSpec,
    passages: Artifact,
    tokens: tuple[Artifact, Artifact] | None,
    access: SplitAccess,
) -> Iterator[tuple[Passage, Site]]:
    sites = Sites(spec.spans, tokens, spec.splits, access)
    for passage in read_passages(passages.path / PASSAGES_NAME, spec.splits, access):
        for site in sites.of(passage):
            yield passage, site


def _job(spec: TeachSpec, model: Artifact, context: Context) -> Job:
    assert isinstance(spec.teacher, LocalTeacher)
    place = context.placement.verbalizing
    source, revision = opened_from(model)
    return Job(
        teacher=spec.teacher,
        num_samples=spec.samples,
        source=source,
        revision=revision,
        device=place.device,
        batch_rows=place.batch_rows,
        threads=context.placement.threads_per_worker,
    )


def _check_any(spec: TeachSpec, counts: Mapping[str, int]) -> None:
    """Raise where nothing came of any answer: what comes later would not say why."""
    if counts["num_rows"]:
        return
    splits = ", ".join(spec.splits)
    if not counts[NUM_SITES]:
        raise ValueError(
            f"no passage of {splits} is to be explained: give the split a share in passages.split"
        )
    found = ", ".join(f"{name} {counts[name]}" for name in REASONS if counts[name])
    raise ValueError(
        f"no row of {splits} has an explanation, of {counts[NUM_SITES]} texts ({found}): raise "
        "prompt.max_new_tokens where answers are cut off, set prompt.answer to what the model "
        "gives where they are malformed, or name a larger model"
    )
