"""`interlingua VERB ...`: every command line of the project behind one name.

Imports the module of the verb that is asked for and no other: `interlingua --help` takes no time.
"""

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

PROGRAM = "interlingua"
WRONG_USAGE = 2  # as argparse ends


class Verb(NamedTuple):
    """The functions behind a verb: a module of this room, its parser and its main."""

    module: str
    parser: str
    main: str
    summary: str


VERBS: dict[str, Verb] = {
    "run": Verb("building.run", "run_parser", "main", "build a recipe, from where it stands"),
    "rl": Verb("building.rl", "rl_parser", "main", "run RL, building prerequisites first"),
    "evaluate": Verb(
        "building.evaluate", "evaluate_parser", "main", "evaluate an NLA, also one behind a URL"
    ),
    "add-host": Verb(
        "building.add_host", "add_host_parser", "main", "fit a new host to the trained ones"
    ),
    "sweep": Verb(
        "sweeping.tuners", "axes_parser", "sweep_main", "compare settings over seeds; see below"
    ),
    "recipes": Verb(
        "building.recipes", "recipes_parser", "main", "list recipes, published runs and placements"
    ),
    "status": Verb(
        "watching.status", "status_parser", "main", "what is done, running, failed in a root"
    ),
    "ui": Verb("watching.ui", "ui_parser", "main", "show the runs of a root in MLflow"),
    "verbalize": Verb(
        "using.verbalize", "verbalize_parser", "main", "explain activations with an NLA"
    ),
    "serve": Verb("using.serve", "serve_parser", "main", "serve bundles over HTTP, with a page"),
    "gallery": Verb("using.gallery", "gallery_parser", "main", "record examples in one HTML page"),
    "recompute": Verb(
        "auditing.recompute", "recompute_parser", "main", "make an evaluation's numbers again"
    ),
    "compare": Verb(
        "auditing.compare", "compare_parser", "main", "two evaluations, paired on common rows"
    ),
    "verify": Verb("auditing.verify", "verify_parser", "main", "check every file of a root"),
    "tour": Verb("touring.tour", "tour_parser", "main", "all of the platform on one small recipe"),
}
# `interlingua sweep NAME ...`; without one of these names the axes are given by hand.
SWEEPS: dict[str, Verb] = {
    "slots": Verb("sweeping.tuners", "slots_parser", "slots_main", "slots x affine maps (x rule)"),
    "seeds": Verb("sweeping.tuners", "seeds_parser", "seeds_main", "one recipe over several seeds"),
    "scaling": Verb(
        "sweeping.tuners", "scaling_parser", "scaling_main", "trunk width x LoRA rank x rows"
    ),
    "rl": Verb(
        "sweeping.search", "search_parser", "search_main", "search RL settings: Optuna and ASHA"
    ),
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names, as `python -m` of its module would."""
    first, *rest = (sys.argv[1:] if words is None else words) or ["--help"]
    if first in ("-h", "--help", "help"):
        print(overview())
    elif first == "--version":
        print(f"{PROGRAM} {_version()}")
    elif first not in VERBS:
        print(_unknown(first), file=sys.stderr)
        sys.exit(WRONG_USAGE)
    elif first == "sweep" and rest and rest[0] in SWEEPS:
        run_verb(SWEEPS[rest[0]], f"{first} {rest[0]}", rest[1:])
    else:
        run_verb(VERBS[first], first, rest)


def run_verb(verb: Verb, typed: str, words: Sequence[str]) -> None:
    """Parse the words of a verb and run it."""
    from interlingua.commands.command_line import run_command

    module = import_module(f"interlingua.commands.{verb.module}")
    parser = getattr(module, verb.parser)()
    parser.prog = f"{PROGRAM} {typed}"
    run_command(getattr(module, verb.main), parser.parse_args(words))


def overview() -> str:
    """Every verb with a line of its own."""
    return (
        f"usage: {PROGRAM} VERB ...\n\n"
        "Natural language autoencoders: from activations to text and back.\n\n"
        f"verbs:\n{_lines(VERBS)}\n\nready sweeps, as `{PROGRAM} sweep NAME RECIPE`:\n"
        f"{_lines(SWEEPS)}\n\n`{PROGRAM} VERB --help` has the arguments of a verb, "
        f"`{PROGRAM} --version` the version."
    )


def _lines(verbs: Mapping[str, Verb]) -> str:
    width = max(map(len, VERBS))
    return "\n".join(f"  {name:{width}}  {verb.summary}" for name, verb in verbs.items())


def _unknown(word: str) -> str:
    near = get_close_matches(word, VERBS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{PROGRAM}: no verb {word!r}; {hint}`{PROGRAM} --help` lists them"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "(not installed: run from a checkout)"
