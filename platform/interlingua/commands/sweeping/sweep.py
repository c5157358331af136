"""Run a sweep from where it stands, and show what it says. Knows no particular sweep."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlingua.commands.building.ending import runs_command
from interlingua.commands.command_line import prepared_root, table_console
from interlingua.commands.sweeping.sweep_plan import show_sweep_plan
from interlingua.commands.sweeping.sweep_tracking import SweepUploads
from interlingua.sources.checks import check_files
from interlingua.specs.recipe import Recipe
from interlingua.specs.sweeps import LeftOut
from interlingua.store.artifact import Artifact, build, find
from interlingua.sweeps.results import read_analysis, sweep_stage
from interlingua.sweeps.sweep import Cell, Sweep, cells_of, own_stages, shared_stages

if TYPE_CHECKING:
    from interlingua.sweeps.analysis import Analysis

FINISHED, FAILED = "finished", "failed"


class CellsFailed(RuntimeError):
    """Some cells failed; the results are those of the others."""


def run_sweep(sweep: Sweep, arguments: argparse.Namespace) -> None:
    """Build what is missing of every cell, then show and store what the sweep says."""
    sweep = replace(sweep, is_built=not arguments.dry_run)
    cells = cells_of(sweep)  # every fault of every cell, before anything runs
    _check_files(cells)
    if arguments.dry_run:
        show_sweep_plan(sweep, cells, arguments.root)
        return
    root = prepared_root(arguments.root)
    print(f"{sweep.name}: {len(cells)} cells in {root}", flush=True)
    with SweepUploads(sweep, root) as uploads:
        uploads.begin(len(cells))
        # Also of those that an earlier command finished: its upload may have failed.
        done = [cell for cell in cells if find(cell.stage, root) is not None]
        for cell in done:
            uploads.add(cell, FINISHED)
        left_out = train_cells(sweep, cells, root, uploads)
        finished = [cell for cell in cells if find(cell.stage, root) is not None]
        if finished:
            result = result_of(sweep, finished, left_out, root)
            analysis = read_analysis(result, root)
            uploads.end(len(cells), result, analysis)
            show_sweep(result, analysis, root)
    if failed := [cell for cell in left_out if cell.state == FAILED]:
        raise CellsFailed(
            f"{len(failed)} of {len(cells)} cells failed: "
            + "; ".join(f"{cell.name}: {cell.cause}" for cell in failed)
            + ". The same command tries them again"
        )


def _check_files(cells: Sequence[Cell]) -> None:
    """Check the files of every cell, once where they are the same."""
    recipes = [cell.recipe for cell in cells]
    of_files = {
        (one.passages, one.hosts, one.read, one.av_lessons, one.ar_lessons, one.evaluation): one
        for one in recipes
    }
    for recipe in of_files.values():
        check_files(recipe)


def train_cells(
    sweep: Sweep, cells: Sequence[Cell], root: Path, uploads: SweepUploads
) -> list[LeftOut]:
    """Build every cell that is not done as a trial of Ray Tune; returns those that have no rows."""
    missing = [cell for cell in cells if find(cell.stage, root) is None]
    if not missing:
        print(f"all {len(cells)} cells are done", flush=True)
        return []
    shared = shared_stages(cells)
    from interlingua.stages.running.noted import noted_run

    own = [stage for cell in cells for stage in own_stages(cell, shared)]
    title, cluster = f"sweep {sweep.name}: {len(cells)} cells", os.environ.get("RAY_ADDRESS")
    with noted_run(f"sweep-{sweep.name}", title, [*shared, *own], root, cluster=cluster):
        build_shared(sweep.base, shared, root)
        outcomes = _trained(sweep, cells, missing, root, uploads)
    return [
        LeftOut(name=one.name, state=one.state, cause=one.cause or "")
        for one in outcomes
        if one.state != FINISHED
    ]


def _trained(
    sweep: Sweep, cells: Sequence[Cell], missing: Sequence[Cell], root: Path, uploads: SweepUploads
) -> Sequence[Any]:
    """The outcomes of the trials of the missing cells."""
    from interlingua.cluster.tuning import Trial, in_process, run_trials

    shared = shared_stages(cells)

    trials = {
        cell.name: Trial(cell.name, own_stages(cell, shared), in_process(cell.recipe.placement))
        for cell in missing
    }
    return run_trials(
        _Named(trials),
        {"cell": list(trials)},
        root,
        placement=in_process(sweep.base.placement),
        progress=CellProgress(cells, len(cells) - len(missing), uploads),
    )


def build_shared(recipe: Recipe, shared: Sequence[Any], root: Path) -> None:
    """Build what several cells need, once."""
    from interlingua.cluster.extraction import RayPool
    from interlingua.cluster.reinforcing import RayReinforcer
    from interlingua.cluster.schedule import RayBackend
    from interlingua.cluster.training import RayTrainer
    from interlingua.stages.graph.urgency import first_explanation_first
    from interlingua.stages.running.console import ConsoleWatcher
    from interlingua.stages.running.context import Context

    context = Context(recipe.placement, RayPool(), RayTrainer(), RayReinforcer())
    with ConsoleWatcher(root, shared) as watcher:
        RayBackend().build_all(first_explanation_first(shared), root, context, watcher)


def result_of(
    sweep: Sweep, finished: Sequence[Cell], left_out: Sequence[LeftOut], root: Path
) -> Artifact:
    """The results of the finished cells, built in this process: they need rows alone."""
    from interlingua.cluster.local import local_context

    stage = sweep_stage(sweep, list(finished), list(left_out))
    context = local_context(sweep.base.placement)
    return build(stage, root, context, sweep.base.placement)


def show_sweep(result: Artifact, analysis: "Analysis", root: Path) -> None:
    """Print the effects, the settings, the verdict in words, and where the page is."""
    from interlingua.report.page.page import PAGE_NAME
    from interlingua.report.tables.grid import rich_tables
    from interlingua.sweeps.published import published_grid
    from interlingua.sweeps.tables import (
        affine_grid,
        effects_grid,
        sentences,
        settings_grid,
        summary,
    )

    console = table_console()
    others = [affine_grid(analysis), published_grid(analysis)]
    grids = [settings_grid(analysis), *filter(None, others)]
    if analysis.effects:
        grids.append(effects_grid(analysis))
    for grid in grids:
        for table in rich_tables(grid, console.width):
            console.print(table)
    for sentence in (*sentences(analysis), summary(analysis)):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {result.path / PAGE_NAME}", markup=False, soft_wrap=True)
    print(f"all runs: {runs_command(root)}")


class _Named:
    """The trial of a configuration, by the name of its cell; it travels to the processes."""

    def __init__(self, trials: Mapping[str, Any]) -> None:
        self._trials = dict(trials)

    def __call__(self, config: Mapping[str, Any]) -> Any:
        return self._trials[config["cell"]]


class SweepProgress:
    """Prints a line where a cell ends: how many are done, the best so far, and what is left."""

    def __init__(self, num_cells: int, num_done: int) -> None:
        self._num_cells, self._num_done = num_cells, num_done
        self._num_ended, self._running = 0, set[str]()
        self._best: tuple[float, str] | None = None
        self._began = time.monotonic()

    def on_start(self, name: str) -> None:
        """Note that a cell runs."""
        self._running.add(name)

    def on_score(self, name: str, numbers: Mapping[str, float]) -> None:
        """Note an evaluation on `dev`; of the score less is better."""
        score = numbers["dev_score"]
        if self._best is None or score < self._best[0]:
            self._best = score, name

    def on_end(self, outcome: Any) -> None:
        """Print one line."""
        self._running.discard(outcome.name)
        self._num_ended += 1
        number = self._num_done + self._num_ended
        left = self._num_cells - number
        per_cell = (time.monotonic() - self._began) / self._num_ended
        parts = [f"{outcome.state} after {outcome.seconds:.0f} s"]
        if outcome.score is not None:
            parts.append(f"dev {outcome.score:.4f}")
        if outcome.cause:
            parts.append(outcome.cause)
        if self._best is not None:
            parts.append(f"best {self._best[0]:.4f} ({self._best[1]})")
        if left > 0:
            parts.append(f"{len(self._running)} running, about {left * per_cell / 60:.0f} min left")
        line = "; ".join(parts)
        print(f"[{number}/{self._num_cells}] {outcome.name}: {line}", flush=True)


class CellProgress(SweepProgress):
    """The same for the cells of a sweep, each of which goes to the tracker when it ends."""

    def __init__(self, cells: Sequence[Cell], num_done: int, uploads: SweepUploads) -> None:
        super().__init__(len(cells), num_done)
        self._cells, self._uploads = {cell.name: cell for cell in cells}, uploads

    def on_end(self, outcome: Any) -> None:
        """Print one line, and upload the cell."""
        super().on_end(outcome)
        self._uploads.add(self._cells[outcome.name], outcome.state)
