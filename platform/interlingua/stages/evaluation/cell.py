"""Stage `cell`: how well one AV explains unseen rows, in numbers that other AVs can be set beside.

A row for each activation: the NLL of the teacher's explanation, and the round trip of the AV's own
texts through one AR that never learned from them. So every cell of a sweep has the same rows, the
same texts to predict, and the same judge.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.cells import CellSpec
from interlingua.specs.placement import WorkKind
from interlingua.stages.evaluation.inputs import CellInputs
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import members

CELL = "cell"


def cell_stage(spec: CellSpec, inputs: CellInputs[Stage], label: str) -> Stage:
    """The rows of one cell."""
    return Stage(
        kind=CELL,
        label=label,
        spec=spec,
        run=run,
        inputs=inputs,
        revision=1,
        device=WorkKind.TRAINING,
    )


def run(
    spec: CellSpec, inputs: CellInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Score every row that has an explanation; the metrics have intervals over passages."""
    from interlingua.core.cell_scores import cell_metrics
    from interlingua.stages.evaluation.cell_rows import scored_cell
    from interlingua.stages.evaluation.unseen import check_unseen
    from interlingua.store.rows.cells import write_cell
    from interlingua.store.rows.splits import recorded_access

    place = context.placement
    with recorded_access({spec.split}, out) as access:
        columns = scored_cell(
            spec,
            inputs,
            access,
            device=place.training.device,
            batch_rows=place.training.micro_batch_rows,
            threads=place.threads_per_worker,
        )
    upstream = members(inputs).values()
    num_checked = check_unseen(set(columns["passage_id"]), spec.split, upstream, out.parent.parent)
    write_cell(out, columns)
    return {
        "num_rows": len(columns["passage_id"]),
        "num_artifacts_checked": num_checked,
        **cell_metrics(columns, seed=spec.seed),
    }
