"""Stage `report`: one page of an evaluation and of all that it came from; nothing is measured.

Of several runs of reinforcement learning it shows the first, and all beside each other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.evaluation import ReportSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, lineage
from interlingua.store.inputs import Member


class ReportInputs(NamedTuple, Generic[Member]):
    """The evaluation that is shown, those of other runs by label; oracles and reach by host."""

    evaluation: Member
    others: Mapping[str, Member]
    oracles: Mapping[str, Member]
    familiarity: Mapping[str, Member]


def report_stage(spec: ReportSpec, inputs: ReportInputs[Stage]) -> Stage:
    """The page of a recipe."""
    return Stage(
        kind="report",
        label=spec.recipe,
        spec=spec,
        run=run,
        inputs=inputs,
        revision=9,
    )


def run(
    spec: ReportSpec, inputs: ReportInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Write the page; what was measured of hosts is shown where a section knows its kind."""
    from interlingua.report.page.page import write_page
    from interlingua.report.tables.material import read_material
    from interlingua.report.tables.rl_runs import read_rl_run

    root = out.parent.parent
    shown = [inputs.evaluation, *inputs.oracles.values(), *inputs.familiarity.values()]
    # Every artifact once, the evaluation first: lineages of evaluation and oracles overlap.
    found = {inputs.evaluation.record.fingerprint: inputs.evaluation}
    for artifact in shown:
        for upstream in (artifact, *lineage(artifact, root)):
            found.setdefault(upstream.record.fingerprint, upstream)
    _, *upstream_of_all = found.values()
    # Runs are set beside each other only where there is more than one.
    all_runs = [inputs.evaluation, *inputs.others.values()]
    runs = [read_rl_run(one, lineage(one, root)) for one in all_runs] if inputs.others else []
    material = read_material(spec.recipe, inputs.evaluation, upstream_of_all, runs)
    return {"num_bytes": write_page(out, material, shown_rows=spec.shown_rows)}
