"""Stage `report`: one page of an evaluation and of all that it came from; nothing is measured.

Of several runs of reinforcement learning it shows the first, and all beside each other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.report.arms import read_arm
from interlingua.report.material import read_material
from interlingua.report.page import write_page
from interlingua.specs.evaluation import ReportSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, lineage

EVALUATION = "evaluation"


def run(
    spec: ReportSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Write the page; further inputs are shown where a section knows their kind."""
    root = out.parent.parent
    evaluation = inputs[EVALUATION]
    arms = [artifact for artifact in inputs.values() if artifact.record.kind == EVALUATION]
    found = {evaluation.record.fingerprint: evaluation}
    shown = [artifact for artifact in inputs.values() if artifact not in arms[1:]]
    for artifact in shown:
        for upstream in (artifact, *lineage(artifact, root)):
            found.setdefault(upstream.record.fingerprint, upstream)
    _, *upstream_of_all = found.values()
    runs = [read_arm(arm, lineage(arm, root)) for arm in arms] if len(arms) > 1 else []
    material = read_material(spec.recipe, evaluation, upstream_of_all, runs)
    return {"num_bytes": write_page(out, material, shown_rows=spec.shown_rows)}
