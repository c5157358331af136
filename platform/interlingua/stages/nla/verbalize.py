"""Stage `verbalized`: the pair's texts of one host's rows and its vectors of them, block by block.

On `fit` the AV's samples, from which the decoder is fitted; on the split of an evaluation samples,
greedy texts, and texts that are written without the right vector. A finished block is never redone.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.generation import VerbalizeSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.splits import Split
from interlingua.stages.nla.inputs import PairInputs, ServedPair
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

if TYPE_CHECKING:
    from interlingua.stages.nla.block_verbalizer import Job


class VerbalizeInputs(NamedTuple, Generic[Member]):
    """The pair, one host's rows by split, and the encoders of that host and of the anchor.

    `passages` say which rows are of one document, where a turn gives the AV another's vector.
    """

    pair: PairInputs[Member] | ServedPair[Member]
    rows: Mapping[Split, Member]
    encoders: Mapping[str, Member]
    passages: Member | None = None


def verbalized_stage(
    spec: VerbalizeSpec, inputs: VerbalizeInputs[Stage], labels: Sequence[str]
) -> Stage:
    """Texts and vectors of one host's rows of some splits, turn by turn."""
    return Stage(
        kind="verbalized",
        label="-".join([*labels, *inputs.rows]),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=3,
        work=WorkKind.VERBALIZING,
        device=None if isinstance(inputs.pair, ServedPair) else WorkKind.VERBALIZING,
    )


def run(
    spec: VerbalizeSpec, inputs: VerbalizeInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Verbalize every block that is not done yet; the metrics count what came out."""
    from interlingua.stages.nla.block_verbalizer import BlockVerbalizer, blocks_of
    from interlingua.store.blocks import DONE_FOLDER, done_counts, keep_blocks
    from interlingua.store.progress import MetricsLog
    from interlingua.store.rows.splits import recorded_access
    from interlingua.store.rows.verbalized import VERBALIZED

    place, job = context.placement.verbalizing, _job(spec, inputs, out, context)
    for name in (VERBALIZED, DONE_FOLDER):
        (out / name).mkdir(exist_ok=True)
    with recorded_access(inputs.rows, out) as access:
        asked = inputs.rows, inputs.passages
        blocks = list(blocks_of(spec, *asked, access, block_rows=place.block_rows))
        for block in blocks:
            # Here, not in the workers, whose ledgers nobody stores. Sources are read as well.
            for passage_id, _ in (*block.keys, *(block.sources or ())):
                access.consume(passage_id, block.turn.split)
    found = [done_counts(out, block.index, block.digest) for block in blocks]
    missing = [block for block, done in zip(blocks, found, strict=True) if done is None]
    counts: Counter[str] = Counter()
    for done in filter(None, found):
        counts.update(done)
    # The speed is of this attempt: tokens of blocks that were done before cost it no time.
    num_done, num_before = len(blocks) - len(missing), counts["num_tokens"]
    log, started = MetricsLog(out, resume_step=0), time.monotonic()
    for block_counts in context.pool.map(BlockVerbalizer, job, missing, place.workers):
        counts.update(block_counts)
        num_done += 1
        speed = (counts["num_tokens"] - num_before) / (time.monotonic() - started)
        log.append(num_done, num_steps=len(blocks), tokens_per_second=speed)
    # An earlier attempt with smaller blocks left more of them: their rows would come twice.
    keep_blocks(out, len(blocks), f"{VERBALIZED}/*")
    return dict(counts)


def _job(
    spec: VerbalizeSpec, inputs: VerbalizeInputs[Artifact], out: Path, context: Context
) -> "Job":
    from interlingua.stages.nla.block_verbalizer import Job

    return Job(
        spec=spec,
        pair=inputs.pair,
        rows=inputs.rows,
        encoders=inputs.encoders,
        out=out,
        place=context.placement.verbalizing,
        threads=context.placement.threads_per_worker,
    )
