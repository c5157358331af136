"""The run of a recipe that a command line asks for, as trackers see it. Knows no tracker."""

import argparse
from collections.abc import Sequence

from interlingua.commands.command_line import placed
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.stages.graph.order import graph_of
from interlingua.stages.running.recipe_runs import RecipeRun
from interlingua.store.artifact import Stage

MOST_LETTERS = 100


def tracked_run(
    recipe: Recipe, stages: Sequence[Stage], arguments: argparse.Namespace, beside: str | None
) -> RecipeRun:
    """The run of the whole recipe, however far it is built now.

    Stages that are `beside` it, a new host or a server, are a run of their own.
    """
    # As they were written: what pinning adds is no choice of who ran it.
    registered = placed(arguments)
    name = title(with_overrides(registered, arguments.overrides), registered)
    if beside is not None:
        return RecipeRun(recipe, stages, name=f"{recipe.name} + {beside}")
    return RecipeRun(recipe, graph_of(recipe), name=name)


def title(recipe: Recipe, registered: object) -> str | None:
    """The recipe's name with the values that are not the registered ones; None: too many."""
    known = {path: value for path, _, value in list_paths(registered)}
    # A placement is no part of what is computed: it makes no other run.
    changed = [
        f"{path}={value}"
        for path, _, value in list_paths(recipe)
        if known.get(path, ...) != value and not path.startswith("placement.")
    ]
    words = " ".join([recipe.name, *changed])
    return words if len(words) <= MOST_LETTERS else None
