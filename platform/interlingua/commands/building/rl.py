"""Run RL, building prerequisites first: `interlingua rl world`.

With --dry-run it also says, of a trunk that was not made here, on which cards the roles fit.
"""

import argparse
from collections.abc import Sequence

from interlingua.commands.building.build import build_recipe
from interlingua.commands.building.plan import add_plan
from interlingua.commands.building.preflight import add_preflight
from interlingua.commands.command_line import parser
from interlingua.memory.cards import card_lines, card_shapes
from interlingua.models.hosts.sizes import size_of
from interlingua.recipes.registry import PUBLISHED, RECIPES
from interlingua.specs.models import HubHost
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import Stage


def main(arguments: argparse.Namespace) -> None:
    """Build the recipe up to its reinforced pairs."""
    recipe = build_recipe(arguments, reinforcing)
    if arguments.dry_run and arguments.diff is None:
        show_cards(recipe)


def reinforcing(recipe: Recipe) -> Sequence[Stage]:
    """The reinforced pairs of a recipe, and all that they need."""
    if not recipe.rl:
        named = ", ".join(name for name, make in (RECIPES | PUBLISHED).items() if make().rl)
        raise ValueError(f"{recipe.name} has no reinforcement learning; recipes with it: {named}")
    return needed_for("rl", graph_of(recipe))


def show_cards(recipe: Recipe) -> None:
    """Print what the roles of each run take on cards of one kind."""
    anchor = recipe.host(recipe.anchor).source
    trunk = size_of(anchor)
    if trunk is None or not isinstance(anchor, HubHost):
        return
    for run in recipe.rl:
        print()
        for line in card_lines(trunk, recipe.av, recipe.ar, card_shapes(run, recipe.ar)):
            print(line)


def rl_parser() -> argparse.ArgumentParser:
    """The shared arguments."""
    made = parser("jobs.rl", __doc__ or "")
    add_preflight(made)
    add_plan(made)
    return made
