"""What a command would build, without building: stages by kind, then sizes; the rest when asked.

Needs neither Ray nor torch.
"""

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from interlingua.commands.building.diff import diff_lines
from interlingua.memory.parameters import (
    SIZE_COLUMNS,
    RoleSize,
    num_parameters,
    role_sizes,
    size_rows,
)
from interlingua.memory.run import memory_lines, run_memory
from interlingua.memory.table import table_lines
from interlingua.models.hosts.sizes import size_of
from interlingua.sources.commits import open_names
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlTraining
from interlingua.specs.text.overrides import list_paths
from interlingua.specs.training import TeachSpec
from interlingua.store.artifact import Stage, find

WIDTH = 100
MOST_LETTERS = 52  # of the stages that are missing, in the table


class _DryRun(argparse.Action):
    """An option that shows more of a dry run, and so asks for one."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        namespace.dry_run = True
        setattr(namespace, self.dest, True if self.nargs == 0 else values)


def add_plan(made: argparse.ArgumentParser) -> None:
    """The options of a dry run; each asks for one."""
    for name, what in (
        ("values", "a dry run that also lists every setting with its value"),
        ("stages", "a dry run that also lists every stage with its fingerprint"),
    ):
        made.add_argument(f"--{name}", action=_DryRun, nargs=0, default=False, help=what)
    made.add_argument(
        "--diff", metavar="RECIPE", action=_DryRun,
        help="a dry run that lists what another recipe, of the registry or FILE.py[:NAME], has "
        "otherwise: settings and stages",
    )  # fmt: skip


def show_plan(
    recipe: Recipe,
    stages: Sequence[Stage],
    root: Path,
    *,
    has_values: bool = False,
    has_stages: bool = False,
    other: str | None = None,
) -> None:
    """Print the stages and what they take; with the options the settings, stages, or a difference.

    `other` names the recipe that this one is held against.
    """
    if other is not None:
        print(*diff_lines(recipe, other, root), sep="\n")
        return
    print(*stage_lines(recipe, stages, root, has_stages=has_stages), sep="\n")
    if recipe.notes:
        print("", *textwrap.wrap(recipe.notes, WIDTH), sep="\n")
    print(*size_lines(recipe, stages), sep="\n")
    if has_values:
        print("", *(f"{path} = {value}" for path, _, value in list_paths(recipe)), sep="\n")
    else:
        print("\n--values lists every setting, --stages every stage, --diff RECIPE what differs")


def stage_lines(
    recipe: Recipe, stages: Sequence[Stage], root: Path, *, has_stages: bool
) -> Iterator[str]:
    """How many stages of each kind are done and missing, and with `has_stages` each of them."""
    names = open_names(recipe)  # while they are, fingerprints will be others
    done = set() if names else {stage.key for stage in stages if find(stage, root) is not None}
    num_missing = len(stages) - len(done)
    yield f"{recipe.name}: {len(stages)} stages in {root}, {len(done)} done, {num_missing} missing"
    yield ""
    yield from _kind_table(stages, done)
    if names:
        yield (
            f"\nnamed without a commit, which the hub is asked for at the first run in {root}: "
            f"{', '.join(names)}"
        )
    if has_stages:
        yield ""
        for stage in stages:
            state = "done" if stage.key in done else "missing"
            yield stage.name if names else f"{stage.name:32} {stage.fingerprint} {state}"


def _kind_table(stages: Sequence[Stage], done: set[str]) -> Iterator[str]:
    rows = []
    for kind in dict.fromkeys(stage.kind for stage in stages):
        own = [stage for stage in stages if stage.kind == kind]
        missing = [stage.label for stage in own if stage.key not in done]
        counts = (str(len(own)), str(len(own) - len(missing)), str(len(missing)))
        rows.append((kind, *counts, _shortened(missing)))
    width = max(len(kind) for kind, *_ in rows)
    for kind, total, num_done, num_missing, labels in [
        ("kind", "stages", "done", "missing", "which"),
        *rows,
    ]:
        line = f"{kind:{width}}  {total:>6}  {num_done:>5}  {num_missing:>7}  {labels}"
        yield line.rstrip()


def _shortened(labels: Sequence[str]) -> str:
    """As many of the labels as a line holds, and the number of the others."""
    shown = list(labels)
    while len(", ".join(shown)) > MOST_LETTERS and len(shown) > 1:
        shown.pop()
    rest = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def size_lines(recipe: Recipe, stages: Sequence[Stage]) -> Iterator[str]:
    """What the models take in training, and the roles of reinforcement learning at their peak."""
    trunk = size_of(recipe.host(recipe.anchor).source)
    if trunk is None:
        yield f"\nthe size of {recipe.anchor} is known once it has been fetched: no memory table"
        return
    encoded = [size_of(recipe.host(tag).source) for tag in recipe.trained]
    roles = role_sizes(trunk, recipe.av, recipe.ar, [one for one in encoded if one])
    yield "\ntraining, memory of every model between two steps (activations come on top):"
    yield from table_lines(SIZE_COLUMNS, size_rows([*roles, *_teacher_sizes(stages)]))
    runs = [stage.spec for stage in stages if isinstance(stage.spec, RlTraining)]
    for rows in dict.fromkeys(run_memory(trunk, s, recipe.placement.reinforcing) for s in runs):
        yield ""
        yield from memory_lines(rows)


def _teacher_sizes(stages: Sequence[Stage]) -> Iterator[RoleSize]:
    """The teachers that are models and run here, where their size is known: each model once."""
    texts = [stage for stage in stages if isinstance(stage.spec, TeachSpec)]
    models = {one.inputs.model.key: one for one in texts if one.inputs.model is not None}
    for one in models.values():
        if (size := size_of(one.inputs.model.spec)) is not None:
            yield RoleSize(
                role="teacher",
                num_parameters=num_parameters(size),
                num_trained=0,
                dtype=one.spec.teacher.dtype,
            )
