"""From stages to artifacts and tables: what every job that builds does. Knows no verb."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from interlingua.specs.overrides import list_paths
from interlingua.specs.recipe import Recipe
from interlingua.stages.backend import Context, name_of
from interlingua.store.artifact import Artifact, Stage, find, fingerprint
from jobs.command import prepared_root


def build_and_show(
    recipe: Recipe,
    stages: Sequence[Stage],
    arguments: argparse.Namespace,
    added: str | None = None,
) -> None:
    """Build what is missing and show what came out; with --dry-run, only say what there is."""
    if arguments.dry_run:
        show_plan(recipe, stages, arguments.root)
        return
    root = prepared_root(arguments.root)
    from interlingua.cluster.extraction import RayPool
    from interlingua.cluster.schedule import RayBackend
    from interlingua.stages.watch import ConsoleWatcher

    print(f"{recipe.name}: {len(stages)} stages in {root}", flush=True)
    with ConsoleWatcher(root, len(stages)) as watcher:
        RayBackend().build_all(stages, root, Context(recipe.placement, RayPool()), watcher)
    roles = recipe.roles() | ({added: "added"} if added else {})
    show_results(roles, [found for stage in stages if (found := find(stage, root))])


def show_plan(recipe: Recipe, stages: Sequence[Stage], root: Path) -> None:
    """The resolved recipe, and every stage with its fingerprint and whether it is done."""
    for path, _, value in list_paths(recipe):
        print(f"{path} = {value}")
    print()
    for stage in stages:
        state = "done" if find(stage, root) else "missing"
        print(f"{name_of(stage):32} {fingerprint(stage)} {state}")


def show_results(roles: Mapping[str, str], artifacts: Sequence[Artifact]) -> None:
    """The tables of everything that was built."""
    from interlingua.report.tables import tables_of

    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in tables_of([artifact.record for artifact in artifacts], roles):
        console.print(table)
