"""Stage `likelihood`: how likely the teacher's explanations of unseen rows are to the trained AV.

Given the row's own vector, that of another document, and none: where the loss is no higher without
the right vector, the AV does not read it, however low the loss is. This needs no fact that is known
to be true, and no AR.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlingua.specs.evaluation import LikelihoodSpec
from interlingua.specs.placement import WorkKind
from interlingua.stages.evaluation.inputs import LikelihoodInputs
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import members


def likelihood_stage(
    spec: LikelihoodSpec, inputs: LikelihoodInputs[Stage], labels: Sequence[str]
) -> Stage:
    """The NLL of the teacher's explanations of one host's rows."""
    return Stage(
        kind="likelihood",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=1,
        work=WorkKind.VERBALIZING,
        device=WorkKind.VERBALIZING,
    )


def run(
    spec: LikelihoodSpec, inputs: LikelihoodInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Score every usable explanation of every row; the metrics count what was left out."""
    from interlingua.stages.evaluation.likelihood_rows import (
        Job,
        LikelihoodWorker,
        asked_texts,
        parts_of,
    )
    from interlingua.stages.evaluation.unseen import check_unseen
    from interlingua.store.rows.likelihood import write_likelihood
    from interlingua.store.rows.splits import recorded_access

    place = context.placement.verbalizing
    with recorded_access({spec.split}, out) as access:
        texts, counts = asked_texts(spec, inputs, access)
    upstream = members(inputs).values()
    passages = {key[0] for key in texts.asked.keys}
    check_unseen(passages, spec.split, upstream, out.parent.parent)
    job = Job(spec, inputs, place, context.placement.threads_per_worker)
    found = dict(
        context.pool.map(
            LikelihoodWorker, job, parts_of(texts.asked, place.block_rows), place.workers
        )
    )
    # In the order of the texts, in whichever order workers were done.
    scored = [row for first in sorted(found) for row in found[first]]
    rows = texts.named(scored)
    write_likelihood(out, rows)
    return {**counts, "num_tokens": sum(row["num_tokens"] for row in rows)}
