"""List the recipes, the published runs and the placements, a line each: `interlingua recipes`."""

import argparse

from interlingua.commands.command_line import catalog
from interlingua.recipes.placements import PLACEMENTS
from interlingua.recipes.registry import OWN, PUBLISHED, RECIPES


def main(arguments: argparse.Namespace) -> None:
    """Print what can be named, in four lists."""
    width = max(map(len, [*RECIPES, *PUBLISHED]))
    lists = (
        ("recipes that run on a laptop", RECIPES),
        ("with what you have", OWN),
        ("published runs, which need a hub, a teacher and GPUs", PUBLISHED),
        ("placements, for --placement", PLACEMENTS),
    )
    print("\n\n".join(f"{title}:\n{catalog(named, width)}" for title, named in lists))


def recipes_parser() -> argparse.ArgumentParser:
    """No argument but the one that all verbs have."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
