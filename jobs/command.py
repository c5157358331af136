"""What every job's command line shares: recipe, overrides, root, and errors in one line."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from interlingua.specs.overrides import with_overrides
from interlingua.specs.recipe import Recipe
from jobs.recipes import RECIPES, recipe_named

# Set by Ray in the driver of a submitted job.
_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every job takes."""
    summaries = "\n".join(f"  {name:12} {_summary(make)}" for name, make in RECIPES.items())
    parsed = argparse.ArgumentParser(
        description=description,
        epilog=f"recipes:\n{summaries}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument("recipe", help="which experiment")
    parsed.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="override one field, e.g. hosts.gpt2-medium.pretrain.num_steps=100; repeatable",
    )
    parsed.add_argument(
        "--root", type=Path, default=Path("runs"), help="where artifacts go (default: runs)"
    )
    parsed.add_argument(
        "--dry-run", action="store_true", help="print the recipe and its stages, run nothing"
    )
    return parsed


def resolved(arguments: argparse.Namespace) -> Recipe:
    """The recipe with its overrides."""
    return with_overrides(recipe_named(arguments.recipe), arguments.overrides)


def prepared_root(root: Path) -> Path:
    """The run root, made if only its last part is missing."""
    if _JOB_VARIABLE in os.environ and not root.is_absolute():
        raise ValueError(
            f"--root is {root}; in a submitted job it must be an absolute path on a disk that "
            "every node shares: the working directory is a copy that goes away with the job"
        )
    if not root.absolute().parent.is_dir():
        raise ValueError(f"--root is {root}; the folder {root.absolute().parent} does not exist")
    root.mkdir(exist_ok=True)
    return root.absolute()


def run_command(main: Callable[[], None]) -> None:
    """Run a job; an error becomes one line with its cause, and exit code 1.

    INTERLINGUA_TRACEBACK=1 shows where it was raised.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to go on from here")
    except Exception as error:
        if os.environ.get("INTERLINGUA_TRACEBACK"):
            raise
        sys.exit(f"error: {error}" if str(error) else f"error: {type(error).__name__}")


def _summary(make: Callable[[], Recipe]) -> str:
    return (make.__doc__ or "").splitlines()[0]
