"""Fit the encoders of a recipe's hosts, and what that needs: `python -m jobs.fit world`."""

import argparse

from interlingua.stages.graph.order import graph_of, needed_for
from jobs.build import build_recipe
from jobs.command import parser, run_command


def main(arguments: argparse.Namespace) -> None:
    """Build the recipe up to its encoders."""
    build_recipe(arguments, lambda recipe: needed_for("encoder", graph_of(recipe)))


if __name__ == "__main__":
    run_command(main, parser("jobs.fit", __doc__ or "").parse_args())
