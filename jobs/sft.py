"""Train the AV and the AR of a recipe, and what that needs: `python -m jobs.sft world`."""

import argparse

from interlingua.stages.graph.order import graph_of, needed_for
from jobs.build import build_recipe
from jobs.command import parser, run_command


def main(arguments: argparse.Namespace) -> None:
    """Build the recipe up to its bundle."""
    build_recipe(arguments, lambda recipe: needed_for("bundle", graph_of(recipe)))


if __name__ == "__main__":
    run_command(main, parser("jobs.sft", __doc__ or "").parse_args())
