"""Run a recipe from where it stands: `python -m jobs.run world`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from interlingua.specs.overrides import list_paths
from interlingua.specs.recipe import Recipe
from interlingua.stages.backend import Context, name_of
from interlingua.stages.graph import graph_of
from interlingua.store.artifact import Artifact, Stage, find, fingerprint
from jobs.command import parser, prepared_root, resolved, run_command


def main(arguments: argparse.Namespace) -> None:
    """Build every stage of the recipe that is not done, and show what came out."""
    recipe = resolved(arguments)
    stages = graph_of(recipe)
    if arguments.dry_run:
        show_plan(recipe, stages, arguments.root)
        return
    root = prepared_root(arguments.root)
    from interlingua.cluster.schedule import RayBackend
    from interlingua.stages.watch import ConsoleWatcher

    print(f"{recipe.name}: {len(stages)} stages in {root}", flush=True)
    with ConsoleWatcher(root, len(stages)) as watcher:
        RayBackend().build_all(stages, root, Context(recipe.placement), watcher)
    show_results(recipe, [found for stage in stages if (found := find(stage, root))])


def show_plan(recipe: Recipe, stages: tuple[Stage, ...], root: Path) -> None:
    """The resolved recipe, and every stage with its fingerprint and whether it is done."""
    for path, _, value in list_paths(recipe):
        print(f"{path} = {value}")
    print()
    for stage in stages:
        state = "done" if find(stage, root) else "missing"
        print(f"{name_of(stage):28} {fingerprint(stage)} {state}")


def show_results(recipe: Recipe, artifacts: list[Artifact]) -> None:
    """The tables of the hosts."""
    from interlingua.report.hosts import exam_table, room_table

    console = Console(width=None if sys.stdout.isatty() else 160)
    roles = {recipe.anchor: "anchor"} | dict.fromkeys(recipe.trained, "trained")
    roles |= dict.fromkeys(recipe.held_out, "held out")
    metrics = {(a.record.kind, a.record.label): a.record.metrics for a in artifacts}
    console.print(exam_table({tag: metrics["host", tag] for tag in roles}, roles))
    console.print(room_table({tag: metrics["room", tag] for tag in roles}))


if __name__ == "__main__":
    run_command(main, parser("jobs.run", __doc__ or "").parse_args())
