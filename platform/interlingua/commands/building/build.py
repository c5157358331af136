"""Build stages and print their results, for every job that builds. Knows no verb."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from interlingua.commands.building.ending import show_results
from interlingua.commands.building.plan import show_plan
from interlingua.commands.building.preflight import preflight_recipe, show_preflight
from interlingua.commands.command_line import prepared_root, resolved
from interlingua.specs.recipe import Recipe
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage, find


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
    show_results(roles, [found for stage in stages if (found := find(stage, root))], root)
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


def check_gates(recipe: Recipe, artifacts: Sequence[Artifact]) -> None:
    """Raise where an evaluation failed a gate that its recipe does not accept."""
    for artifact in artifacts:
        if names := artifact.record.metrics.get("failed_gates"):
            raise GatesFailed(
                f"{artifact.record.kind}/{artifact.record.label} failed {', '.join(names)}: its "
                "numbers do not count. Accept a gate by name, if you know why it fails, with "
                f"--set evaluation.accepts={','.join([*recipe.evaluation.accepts, *names])}"
            )
