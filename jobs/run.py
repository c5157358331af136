"""Run a recipe from where it stands: `python -m jobs.run world`."""

import argparse

from interlingua.stages.graph.order import graph_of
from jobs.build import build_recipe
from jobs.command import parser, run_command


def main(arguments: argparse.Namespace) -> None:
    """Build every stage of the recipe that is not done, and show what came out."""
    build_recipe(arguments, graph_of)


if __name__ == "__main__":
    run_command(main, parser("jobs.run", __doc__ or "").parse_args())
