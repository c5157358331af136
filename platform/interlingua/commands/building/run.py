"""Run a recipe from where it stands: `interlingua run world`.

With --until it is built up to the stages of one kind, and what they need:
`interlingua run world --until encoder`.
"""

import argparse
from collections.abc import Sequence

from interlingua.commands.building.build import build_recipe
from interlingua.commands.building.plan import add_plan
from interlingua.commands.building.preflight import add_preflight
from interlingua.commands.command_line import parser
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import Stage


def main(arguments: argparse.Namespace) -> None:
    """Build every stage of the recipe that is not done, and show what came out."""
    build_recipe(arguments, lambda recipe: chosen(recipe, arguments.until))


def chosen(recipe: Recipe, kind: str | None) -> Sequence[Stage]:
    """All stages of a recipe, or those of a kind with all that they need."""
    stages = graph_of(recipe)
    if kind is None:
        return stages
    if not (needed := needed_for(kind, stages)):
        kinds = ", ".join(dict.fromkeys(stage.kind for stage in stages))
        raise ValueError(f"--until is {kind}; the stages of {recipe.name} are of kind {kinds}")
    return needed


def run_parser() -> argparse.ArgumentParser:
    """The shared arguments, and where to end."""
    made = parser("jobs.run", __doc__ or "")
    made.add_argument(
        "--until", metavar="KIND", help="end with the stages of this kind: activations, encoder, "
        "bundle, rl, evaluation, report ...",
    )  # fmt: skip
    add_preflight(made)
    add_plan(made)
    return made
