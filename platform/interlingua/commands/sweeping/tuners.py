"""The command lines of sweeps: each makes a sweep of a base recipe, and runs it.

`interlingua sweep slots world_token`, `interlingua sweep seeds world_mini --seeds 3`, `interlingua
sweep RECIPE --axis ...`; `interlingua sweep rl` searches instead (search.py beside this file). As
modules they are those of `tuners`.
"""

import argparse
from collections.abc import Callable, Sequence

from interlingua.commands.command_line import chosen, parser, with_commits
from interlingua.commands.sweeping.sweep import run_sweep
from interlingua.core.contrasts import Contrast
from interlingua.specs.recipe import Recipe
from interlingua.sweeps.catalog import (
    AFFINES,
    CONTINUED_STEPS,
    RULES,
    scaling_sweep,
    seeds_sweep,
    slots_sweep,
)
from interlingua.sweeps.sweep import LEAST_SEEDS, Sweep, axis_of


def slots_main(arguments: argparse.Namespace) -> None:
    """Slots x affine maps (x rule) x seeds."""
    run_sweep(
        slots_sweep(
            _recipe(arguments),
            slots=arguments.slots,
            affines=arguments.affine,
            rules=arguments.rule,
            seeds=arguments.seeds,
            num_steps=arguments.steps,
        ),
        arguments,
    )


def seeds_main(arguments: argparse.Namespace) -> None:
    """One recipe over several seeds."""
    run_sweep(seeds_sweep(_recipe(arguments), seeds=arguments.seeds), arguments)


def sweep_main(arguments: argparse.Namespace) -> None:
    """Any axes of a recipe; without --contrast every setting against the first."""
    recipe = _recipe(arguments)
    axes = tuple(axis_of(text) for text in arguments.axis)
    sweep = Sweep(
        name=arguments.name or f"sweep-{recipe.name}",
        base=recipe,
        axes=axes,
        seeds=arguments.seeds,
    )
    first, *others = sweep.settings()
    pairs = [_pair(text) for text in arguments.contrast] or [(one, first) for one in others]
    if len(arguments.seeds) < LEAST_SEEDS and not arguments.contrast:
        pairs = []  # nobody asked for effects, and one seed has none
    contrasts = tuple(
        Contrast(name=f"{one} - {other}", weights={one: 1.0, other: -1.0}) for one, other in pairs
    )
    run_sweep(
        Sweep(name=sweep.name, base=recipe, axes=axes, seeds=sweep.seeds, contrasts=contrasts),
        arguments,
    )


def scaling_main(arguments: argparse.Namespace) -> None:
    """Trunk width x LoRA rank x rows; curves with intervals, no contrasts."""
    sweep = scaling_sweep(
        _recipe(arguments),
        widths=arguments.widths,
        ranks=arguments.ranks,
        rows=arguments.rows,
        seeds=arguments.seeds,
    )
    run_sweep(sweep, arguments)


def slots_parser() -> argparse.ArgumentParser:
    """The arguments of tuners.slots."""
    made = sweep_parser("tuners.slots", slots_main)
    made.add_argument("--slots", type=numbers, default=(1, 4, 16), help="default: 1,4,16")
    made.add_argument(
        "--affine", type=words, default=("none", "full", "low_rank"),
        help=f"of {', '.join(AFFINES)}; default: none,full,low_rank",
    )  # fmt: skip
    made.add_argument("--rule", type=words, default=(), help=f"also vary it: {', '.join(RULES)}")
    made.add_argument(
        "--steps", type=int,
        help=f"of every cell, behind the shared start (default: {CONTINUED_STEPS}; from weights "
        "of elsewhere the recipe's)",
    )  # fmt: skip
    return made


def seeds_parser() -> argparse.ArgumentParser:
    """The arguments of tuners.seeds."""
    return sweep_parser("tuners.seeds", seeds_main)


def axes_parser() -> argparse.ArgumentParser:
    """The arguments of tuners.sweep."""
    made = sweep_parser("tuners.sweep", sweep_main)
    made.add_argument(
        "--axis", metavar="PATH=A,B", action="append", required=True,
        help="a setting of the recipe and its values; repeatable",
    )  # fmt: skip
    made.add_argument(
        "--contrast", metavar="SETTING/SETTING", action="append", default=[],
        help="the first less the second; default: every setting less the first one",
    )  # fmt: skip
    made.add_argument("--name", help="of the sweep (default: sweep-RECIPE)")
    return made


def scaling_parser() -> argparse.ArgumentParser:
    """The arguments of tuners.scaling."""
    made = sweep_parser("tuners.scaling", scaling_main)
    made.add_argument("--widths", type=numbers, default=(32, 64, 96), help="default: 32,64,96")
    made.add_argument(
        "--ranks", type=numbers, default=(4, 16, 0), help="0: all weights; default: 4,16,0"
    )
    made.add_argument("--rows", type=numbers, default=(500, 2000), help="default: 500,2000")
    return made


def sweep_parser(
    module: str, main: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    """The arguments that every sweep takes."""
    made = parser(module, (main.__doc__ or "").strip())
    made.add_argument(
        "--seeds", type=seeds, default=seeds("5"),
        help="how many, or which: 5 is 0,1,2,3,4 (default: 5)",
    )  # fmt: skip
    return made


def seeds(text: str) -> tuple[int, ...]:
    """Seeds: a number of them, or a list."""
    if "," in text:
        return numbers(text)
    return tuple(range(int(text)))


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them."""
    return tuple(int(part) for part in text.split(",") if part.strip())


def words(text: str) -> tuple[str, ...]:
    """Words with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _recipe(arguments: argparse.Namespace) -> Recipe:
    return with_commits(chosen(arguments), arguments)


def _pair(text: str) -> Sequence[str]:
    one, slash, other = text.partition("/")
    if not slash:
        raise ValueError(f"--contrast is {text!r}; write SETTING/SETTING")
    return one, other
