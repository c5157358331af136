"""Build stages and print their results, for every job that builds. Knows no verb."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from interlingua.commands.building.plan import show_plan
from interlingua.commands.building.preflight import preflight_recipe, show_preflight
from interlingua.commands.command_line import prepared_root, resolved
from interlingua.specs.evaluation import Predictor
from interlingua.specs.recipe import Recipe
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, find, lineage
from interlingua.tracking.database import ui_command


class GatesFailed(ValueError):
    """The build is complete, and an evaluation in it failed a gate."""


def build_recipe(
    arguments: argparse.Namespace, chosen: Callable[[Recipe], Sequence[Stage]]
) -> Recipe:
    """Build `chosen(recipe)`, or with --preflight look it through; returns the recipe."""
    if (asked := preflight_recipe(arguments)) is not None:
        show_preflight(asked, arguments.root)
        return asked
    recipe = resolved(arguments)
    build_and_show(recipe, chosen(recipe), arguments)
    return recipe


def build_and_show(
    recipe: Recipe,
    stages: Sequence[Stage],
    arguments: argparse.Namespace,
    *,
    added: str | None = None,
    server: str | None = None,
) -> None:
    """Build missing stages and print the results; with --dry-run, only what is there.

    `added` is the tag of a host that the recipe itself does not name, `server` a name for what is
    asked in place of the recipe's pair.
    """
    if arguments.dry_run:
        show_plan(
            recipe,
            stages,
            arguments.root,
            has_values=arguments.values,
            has_stages=arguments.stages,
            other=arguments.diff,
        )
        return
    root = prepared_root(arguments.root)
    _build(recipe, stages, root, arguments, beside=added or server)
    roles = recipe.roles() | ({added: "added"} if added else {})
    show_results(roles, [found for stage in stages if (found := find(stage, root))])
    print(f"view runs: {ui_command(root)}")
    # Last: numbers that do not count are printed all the same, and then the job fails.
    check_gates(recipe, [found for stage in stages if (found := find(stage, root))])


def _build(
    recipe: Recipe,
    stages: Sequence[Stage],
    root: Path,
    arguments: argparse.Namespace,
    *,
    beside: str | None,
) -> None:
    # Behind the dry run, which needs neither Ray nor torch.
    from interlingua.cluster.extraction import RayPool
    from interlingua.cluster.reinforcing import RayReinforcer
    from interlingua.cluster.schedule import RayBackend
    from interlingua.cluster.training import RayTrainer
    from interlingua.commands.building.tracked_run import tracked_run
    from interlingua.stages.graph.urgency import first_explanation_first
    from interlingua.stages.running.console import ConsoleWatcher
    from interlingua.stages.running.noted import noted_run
    from interlingua.stages.running.tracked import TrackingWatcher
    from interlingua.stages.running.uploader import OnceTracker, Uploader
    from interlingua.tracking.mlflow_tracker import MlflowTracker

    print(f"{recipe.name}: {len(stages)} stages in {root}", flush=True)
    context = Context(recipe.placement, RayPool(), RayTrainer(), RayReinforcer())
    tracked = tracked_run(recipe, stages, arguments, beside)
    uploader = Uploader(OnceTracker(MlflowTracker(root), root), tracked)
    run, cluster = tracked.identity, os.environ.get("RAY_ADDRESS")
    with (
        noted_run(run.name, run.title, stages, root, cluster=cluster),
        ConsoleWatcher(root, stages) as shown,
        TrackingWatcher(shown, uploader, root) as watcher,
    ):
        RayBackend().build_all(first_explanation_first(stages), root, context, watcher)


def show_results(roles: Mapping[str, str], artifacts: Sequence[Artifact]) -> None:
    """Print the results; the page has the rest. Without an evaluation, print all tables."""
    from interlingua.report.page.page import PAGE_NAME
    from interlingua.report.tables.reinforced import reinforced_table
    from interlingua.report.terminal.tables import tables_of

    console = Console(width=None if sys.stdout.isatty() else 160)
    evaluations = [artifact for artifact in artifacts if artifact.record.kind == "evaluation"]
    if not evaluations:
        for table in tables_of([artifact.record for artifact in artifacts], roles):
            console.print(table)
    if runs := [artifact for artifact in artifacts if artifact.record.kind == "rl"]:
        console.print(reinforced_table(runs))
    if len(evaluations) > 2:  # the supervised pair's, and those of several runs
        _show_rl_runs(console, evaluations[1:])
    elif evaluations:
        _show_evaluation(console, evaluations[-1], roles)  # it is beside its start, if it has one
    for artifact in artifacts:
        if artifact.record.kind == "report":
            console.print(f"report: {artifact.path / PAGE_NAME}", markup=False, soft_wrap=True)


def _show_evaluation(console: Console, evaluation: Artifact, roles: Mapping[str, str]) -> None:
    from interlingua.report.gates.gates import gate_line
    from interlingua.report.headline.likelihood import likelihood_line
    from interlingua.report.numbers import ALL, NUMBERS_NAME, read_numbers
    from interlingua.report.tables.grid import rich_tables
    from interlingua.report.tables.universal import summary_grid
    from interlingua.report.terminal.explanations import sample_panels

    for panel in sample_panels(evaluation.path, Predictor.SAMPLED):
        console.print(panel)
    numbers = read_numbers(evaluation.path / NUMBERS_NAME)
    for table in rich_tables(summary_grid(numbers, roles), console.width):
        console.print(table)
    whole = ALL if numbers.get(ALL, Predictor.SAMPLED, "nmse") else next(iter(roles))
    line = likelihood_line(numbers, whole)
    words = "".join(
        part if isinstance(part, str) else f"{part.text} {part.doubt}".strip() for part in line
    )
    console.print(words, markup=False, highlight=False)
    for gate in evaluation.record.metrics["gates"]:
        console.print(gate_line(gate), markup=False, highlight=False)


def _show_rl_runs(console: Console, evaluations: Sequence[Artifact]) -> None:
    from interlingua.report.tables.grid import rich_tables
    from interlingua.report.tables.rl_runs import read_rl_run, rl_runs_grid

    runs = [read_rl_run(one, lineage(one, one.path.parent.parent)) for one in evaluations]
    for table in rich_tables(rl_runs_grid(runs), console.width):
        console.print(table)


def check_gates(recipe: Recipe, artifacts: Sequence[Artifact]) -> None:
    """Raise where an evaluation failed a gate that its recipe does not accept."""
    for artifact in artifacts:
        if names := artifact.record.metrics.get("failed_gates"):
            raise GatesFailed(
                f"{artifact.record.kind}/{artifact.record.label} failed {', '.join(names)}: its "
                "numbers do not count. Accept a gate by name, if you know why it fails, with "
                f"--set evaluation.accepts={','.join([*recipe.evaluation.accepts, *names])}"
            )
