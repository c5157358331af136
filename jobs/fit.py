"""Fit the encoders of a recipe's hosts, and what that needs: `python -m jobs.fit world`."""

import argparse

from interlingua.stages.graph import graph_of, needed_for
from jobs.build import build_and_show
from jobs.command import parser, resolved, run_command


def main(arguments: argparse.Namespace) -> None:
    """Build the recipe up to its encoders."""
    recipe = resolved(arguments)
    build_and_show(recipe, needed_for("encoder", graph_of(recipe)), arguments)


if __name__ == "__main__":
    run_command(main, parser("jobs.fit", __doc__ or "").parse_args())
