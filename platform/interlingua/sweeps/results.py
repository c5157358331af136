"""Stage `sweep`: the effects of a sweep's contrasts from the rows of its cells, and their page."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.sweeps import ContrastSpec, LeftOut, SweepSpec
from interlingua.specs.text.recorded import from_jsonable
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, lineage
from interlingua.store.inputs import Member
from interlingua.sweeps.sweep import Cell, Sweep

if TYPE_CHECKING:
    from interlingua.sweeps.analysis import Analysis

RESAMPLING_SEED = 0


class SweepInputs(NamedTuple, Generic[Member]):
    """The finished cells by setting and seed."""

    cells: Mapping[str, Mapping[str, Member]]


def sweep_stage(sweep: Sweep, cells: list[Cell], left_out: list[LeftOut]) -> Stage:
    """The results of the cells that are finished."""
    by_setting: dict[str, dict[str, Stage]] = {}
    for cell in cells:
        by_setting.setdefault(cell.setting, {})[str(cell.seed)] = cell.stage
    return Stage(
        kind="sweep",
        label=sweep.name,
        spec=SweepSpec(
            name=sweep.name,
            recipe=sweep.base.name,
            axes=tuple(axis.name for axis in sweep.axes),
            settings=tuple((name, *labels.values()) for name, labels in sweep.settings().items()),
            seeds=sweep.seeds,
            contrasts=tuple(
                ContrastSpec(
                    name=contrast.name,
                    settings=tuple(contrast.weights),
                    weights=tuple(contrast.weights.values()),
                )
                for contrast in sweep.contrasts
            ),
            notes=sweep.notes,
            left_out=tuple(left_out),
            seed=RESAMPLING_SEED,
        ),
        run=run,
        inputs=SweepInputs(by_setting),
        revision=1,
    )


def run(
    spec: SweepSpec, inputs: SweepInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Write cells.csv, effects.csv and report.html; the metrics are the effects."""
    from interlingua.sweeps.analysis import analysed
    from interlingua.sweeps.page import write_sweep_page
    from interlingua.sweeps.tables import write_tables

    analysis = analysed(spec, inputs.cells, out.parent.parent)
    write_tables(out, analysis)
    write_sweep_page(out, spec, analysis)
    return {"num_cells": len(analysis.cells), **analysis.metrics()}


def read_analysis(result: Artifact, root: Path) -> "Analysis":
    """The analysis of a finished sweep again, from the rows of its cells."""
    from interlingua.sweeps.analysis import analysed

    spec = from_jsonable(SweepSpec, result.record.spec)
    cells: dict[str, dict[str, Artifact]] = {}
    upstream = {one.record.fingerprint: one for one in lineage(result, root)}
    for path, one in result.record.inputs.items():
        _, setting, seed = path.split(".")
        cells.setdefault(setting, {})[seed] = upstream[one.fingerprint]
    return analysed(spec, cells, root)
