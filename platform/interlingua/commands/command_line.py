"""Parts of every job's command line: recipe, overrides, root, and errors in one line."""

import argparse
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interlingua.cluster.session import quiet_libraries
from interlingua.recipes.placements import PLACEMENTS, placed_at
from interlingua.recipes.registry import recipe_named
from interlingua.sources.checks import check_files
from interlingua.sources.commits import commits_in, committed, note_commits
from interlingua.sources.pinned import pinned
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import with_overrides
from interlingua.store.provenance import RAY_JOB_CONFIG

if TYPE_CHECKING:
    from rich.console import Console

# Of a field's owner, which those who write Python want and those who write --set do not.
CLASS_NAME = re.compile(r"\b[A-Z][A-Za-z]+\.(?=[a-z_]+ (?:is|holds) )")
LOG_WIDTH = 160
EXAMPLES = """\
overrides (`interlingua run RECIPE --values` lists every path and its value):
  --set passages.corpus.num_passages=2000
  --set hosts.toy-gpt2-medium.source.pretrain.num_steps=100
  --set rl.num_steps=40 (of several runs: rl.TAG.num_steps)
  --set placement.extraction.hosts.toy-gpt2-medium.device=cuda
  --set hosts.toy-qwen3-1p7b.source.teacher=none"""


def parser(module: str, description: str, *, recipe: str | None = None) -> argparse.ArgumentParser:
    """The arguments that every job takes; the module is the one that people run.

    `recipe` is taken where none is named; None: one must be.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_recipe(made, recipe)
    made.add_argument(
        "--placement",
        choices=PLACEMENTS,
        metavar="NAME",
        help="where it runs, in place of the recipe's own (see below); --set comes after it",
    )
    made.add_argument(
        "--set",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="override one field of the recipe; repeatable",
    )
    made.add_argument(
        "--root", type=Path, default=Path("runs"), help="where artifacts go (default: runs)"
    )
    made.add_argument(
        "--dry-run", action="store_true", help="print what would be built, and run nothing"
    )
    made.add_argument(
        "--traceback", action="store_true", help="on an error, also show where it was raised"
    )
    return made


def run_command(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    """Run a job; an error becomes one line with its cause, and exit code 1; 130 if interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for every request
    quiet_libraries()
    ended_by = [signal.SIGINT]  # a list: what it is handled in may raise an error of its own

    def interrupt(signum: int, frame: object) -> None:
        """End as Ctrl-C does; another one while that goes on must not break it off."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ended_by.append(signal.SIGTERM)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)  # of Slurm, Kubernetes, `ray job stop`
    try:
        main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not said
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on from here", file=sys.stderr)
        sys.exit(128 + ended_by[-1])  # as shells have it
    except Exception as error:
        if arguments.traceback:
            raise
        sys.exit(f"error: {_error_line(error)}")


def table_console() -> "Console":
    """Where tables are printed: as wide as the terminal, in a log as wide as tables are read."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else LOG_WIDTH)


def resolved(arguments: argparse.Namespace) -> Recipe:
    """The recipe with its overrides; pinned to its files, which are checked."""
    found = with_commits(chosen(arguments), arguments)
    # A dry run asks no hub: what has no commit yet is shown without.
    recipe = pinned(found, is_built=not arguments.dry_run)
    check_files(recipe)
    return recipe


def with_commits(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """The recipe with the commits that are noted in the root; others are asked of the hub."""
    root = arguments.root
    return committed(recipe, commits_in(root) if arguments.dry_run else note_commits(recipe, root))


def chosen(arguments: argparse.Namespace) -> Recipe:
    """The recipe with its overrides, as it was written: nothing is pinned."""
    return with_overrides(placed(arguments), arguments.overrides)


def placed(arguments: argparse.Namespace) -> Recipe:
    """The recipe without its overrides, where --placement puts it."""
    found = recipe_named(arguments.recipe)
    if arguments.placement is None:
        return found
    return replace(found, placement=placed_at(arguments.placement, found.placement))


def prepared_root(root: Path) -> Path:
    """The run root, made if only its last part is missing."""
    if RAY_JOB_CONFIG in os.environ and not root.is_absolute():
        raise ValueError(
            f"--root is {root}; in a submitted job it must be an absolute path on a disk that "
            "every node shares: the working directory is a copy that goes away with the job"
        )
    if not root.absolute().parent.is_dir():
        raise ValueError(
            f"--root is {root}; make the folder {root.absolute().parent} first, or mount its disk"
        )
    if root.exists() and not root.is_dir():
        raise ValueError(f"--root is {root}; it must be a folder, and this is a file")
    # Its last part alone: a whole path that is missing is mostly a disk that is not mounted.
    root.mkdir(exist_ok=True)
    return root.absolute()


def catalog(named: Mapping[str, Callable[[], object]], width: int) -> str:
    """A line for each, with its docstring's first: a recipe is described in one place."""
    return "\n".join(f"  {name:{width}}  {_summary(make)}" for name, make in named.items())


def check_port(host: str, port: int) -> None:
    """Raise where a server could not listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that just ended is none
        try:
            trial.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"port {port} of {host} cannot be used ({error.strerror}): end what listens there, "
                "or take another one with --port"
            ) from error


def _add_recipe(made: argparse.ArgumentParser, default: str | None) -> None:
    """The recipe: by its name, or a function in a file."""
    if default is not None:
        made.set_defaults(recipe=default)  # before its arguments, which would take it as theirs
    named = made.add_mutually_exclusive_group(required=default is None)
    named.add_argument(
        "recipe",
        nargs="?",
        default=argparse.SUPPRESS,
        help="which experiment: `interlingua recipes` lists them",
    )
    named.add_argument(
        "--recipe",
        default=argparse.SUPPRESS,
        metavar="FILE.py[:NAME]",
        help="a file of your own; NAME is its function that returns the recipe (default: recipe)",
    )


def _epilog() -> str:
    places = catalog(PLACEMENTS, max(map(len, PLACEMENTS)))
    return f"recipes: `interlingua recipes` lists them\n\nplacements:\n{places}\n\n{EXAMPLES}"


def _error_line(error: Exception) -> str:
    """The error's own words, after its name where they were not written for people."""
    if isinstance(error, ValueError) or type(error).__module__.startswith("interlingua."):
        return CLASS_NAME.sub("", str(error))
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _summary(make: Callable[[], object]) -> str:
    return (make.__doc__ or "").splitlines()[0]
