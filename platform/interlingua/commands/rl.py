"""Run RL, building prerequisites first: `python -m jobs.rl world`.

Of a published run it says what it asks for and whether its roles fit on cards of 32 GB.
"""

import argparse
from collections.abc import Sequence

from interlingua.commands.build import build_recipe
from interlingua.commands.command_line import parser
from interlingua.memory.cards import card_lines
from interlingua.published.hosts import pool_host
from interlingua.published.reinforcement import PUBLISHED_RL, PublishedRl
from interlingua.recipes.registry import RECIPES
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import Stage


def main(arguments: argparse.Namespace) -> None:
    """Build the recipe up to its reinforced pairs."""
    if arguments.recipe in PUBLISHED_RL:
        run = with_overrides(PUBLISHED_RL[arguments.recipe], arguments.overrides)
        show_published(run, is_dry=arguments.dry_run)
    else:
        build_recipe(arguments, reinforcing)


def reinforcing(recipe: Recipe) -> Sequence[Stage]:
    """The reinforced pairs of a recipe, and all that they need."""
    if not recipe.rl:
        named = ", ".join(name for name, make in RECIPES.items() if make().rl)
        raise ValueError(f"{recipe.name} has no reinforcement learning; recipes with it: {named}")
    return needed_for("rl", graph_of(recipe))


def show_published(run: PublishedRl, *, is_dry: bool) -> None:
    """Print its values, and what its roles take on cards of one kind."""
    if not is_dry:
        raise ValueError(
            f"{run.name} cannot be run here: the pair that it goes on from is not included; "
            "--dry-run prints it"
        )
    for path, _, value in list_paths(run):
        print(f"{path} = {value}")
    print()
    supervised = run.supervised
    trunk = pool_host(supervised.trunk)
    for line in card_lines(trunk, supervised.av, supervised.ar, run.shapes()):
        print(line)


def rl_parser() -> argparse.ArgumentParser:
    """The shared arguments; the help names the published runs, too."""
    made = parser("jobs.rl", __doc__ or "")
    made.epilog = f"{made.epilog}\n\nwith --dry-run also: {', '.join(PUBLISHED_RL)}"
    return made
