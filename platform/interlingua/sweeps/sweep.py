"""A sweep as a value: a base recipe, axes, seeds, and the contrasts that are named beforehand.

A setting is one value of every axis, a cell a setting with a seed: one recipe. A seed changes the
initialisation and the batch order of what is trained in a cell and nothing else, so that cells
share world, rows, teacher and AR. Knows no backend and runs nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import product
from typing import Any

from interlingua.core.contrasts import Contrast
from interlingua.sources.pinned import pinned
from interlingua.specs.checks import check_slug
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.cells import cell_stages
from interlingua.store.artifact import Stage

LEAST_SEEDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that varies: its values by label, and the recipe that a value makes of another."""

    name: str
    values: Mapping[str, Any]
    apply: Callable[[Recipe, Any], Recipe]

    def __post_init__(self) -> None:
        check_slug(self, **{f"values.{label}": label for label in self.values})
        if not self.values:
            raise ValueError(f"axis {self.name} has no values")


def path_axis(path: str, values: Sequence[str]) -> Axis:
    """The axis of one setting of a recipe: `av.injection.num_slots`, `1,4,16`."""

    def apply(recipe: Recipe, value: str) -> Recipe:
        return with_overrides(recipe, [f"{path}={value}"])

    leaf = path.rpartition(".")[2]
    # A name has no point: 0.001 is called 0p001. Nor has it the slash of a path.
    labels = {
        f"{leaf}-{re.sub(r'[^A-Za-z0-9_-]+', '-', value.strip().replace('.', 'p'))}": value.strip()
        for value in values
    }
    if len(labels) < len(values):
        raise ValueError(f"axis {path} has a value twice, or two that differ in signs alone")
    return Axis(name=path, values=labels, apply=apply)


def axis_of(text: str) -> Axis:
    """The axis that `path=a,b,c` names."""
    path, equals, values = text.partition("=")
    if not equals or not path.strip() or not values.strip():
        raise ValueError(f"{text!r} is no axis; write path.to.field=value,value")
    return path_axis(path.strip(), values.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One recipe of a sweep, and the stages that measure it, inputs first and the cell last."""

    setting: str
    values: Mapping[str, str]  # label by axis
    seed: int
    recipe: Recipe
    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        """The name for people, one of its own in the sweep."""
        return f"{self.setting}-seed{self.seed}"

    @property
    def stage(self) -> Stage:
        """The stage that ends it."""
        return self.stages[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Every combination of the axes' values with every seed."""

    name: str
    base: Recipe  # as it was written: the recipes of cells are pinned
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    contrasts: tuple[Contrast, ...] = ()
    notes: tuple[str, ...] = field(default=())  # what a reader must know of the axes
    is_built: bool = True  # a dry run does without

    def __post_init__(self) -> None:
        check_slug(self, name=self.name)
        for what, found in (("axes", [axis.name for axis in self.axes]), ("seeds", self.seeds)):
            if doubled := [one for one, count in Counter(found).items() if count > 1]:
                raise ValueError(f"Sweep.{what} has {doubled[0]} twice")
        if not self.seeds:
            raise ValueError("Sweep.seeds is empty; a cell needs one")

    def settings(self) -> dict[str, dict[str, str]]:
        """The label of every axis, by the setting's name."""
        combined = product(*(axis.values for axis in self.axes))
        found = [dict(zip([a.name for a in self.axes], labels, strict=True)) for labels in combined]
        return {"-".join(labels.values()) or "base": labels for labels in found}

    def recipe(self, values: Mapping[str, str], seed: int) -> Recipe:
        """The recipe of one cell, pinned: an axis may name other files, or another block."""
        recipe = self.base
        for axis in self.axes:
            recipe = axis.apply(recipe, axis.values[values[axis.name]])
        return pinned(with_seed(recipe, seed), is_built=self.is_built)


class SweepRefused(ValueError):
    """Cells that cannot run, or contrasts that cannot be made of them; all of them are named."""


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with another seed of what a cell trains: the AV, and its reinforcement."""
    return replace(
        recipe,
        av=replace(recipe.av, seed=seed),
        rl=tuple(replace(run, seed=seed) for run in recipe.rl),
    )


def cells_of(sweep: Sweep) -> tuple[Cell, ...]:
    """Every cell, seed after seed; raises SweepRefused with the faults of all of them."""
    faults, cells = list(_faults_of_contrasts(sweep)), []
    settings = sweep.settings()
    # Seeds outside: whoever stops a sweep early has whole sets of settings.
    for seed in sweep.seeds:
        for setting, values in settings.items():
            try:
                recipe = sweep.recipe(values, seed)
                stages = cell_stages(recipe, sweep.base.name)
            except ValueError as error:
                faults.append(f"{setting}: {error}")
                continue
            cells.append(
                Cell(setting=setting, values=values, seed=seed, recipe=recipe, stages=stages)
            )
    faults += _faults_of_cells(sweep, cells)
    if faults:
        # A fault of a setting is one of every seed of it: said once.
        shown = list(dict.fromkeys(faults))
        raise SweepRefused(f"{sweep.name} cannot run:\n  " + "\n  ".join(shown))
    return tuple(cells)


def shared_stages(cells: Sequence[Cell]) -> tuple[Stage, ...]:
    """The stages that more than one cell needs, inputs first: built once, before the trials."""
    times = Counter(stage.key for cell in cells for stage in cell.stages)
    every = {stage.key: stage for cell in cells for stage in cell.stages}
    return tuple(stage for key, stage in every.items() if times[key] > 1)


def own_stages(cell: Cell, shared: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages that the cell alone needs, inputs first."""
    keys = {stage.key for stage in shared}
    return tuple(stage for stage in cell.stages if stage.key not in keys)


def _faults_of_contrasts(sweep: Sweep) -> Iterator[str]:
    if not sweep.contrasts:
        return
    if len(sweep.seeds) < LEAST_SEEDS:
        yield (
            f"{len(sweep.seeds)} seed, and {len(sweep.contrasts)} contrasts: an effect is judged "
            f"over seeds, so give at least {LEAST_SEEDS}"
        )
    settings = list(sweep.settings())
    for contrast in sweep.contrasts:
        for name in contrast.weights:
            if name not in settings:
                near = get_close_matches(name, settings, n=3, cutoff=0.4) or settings
                yield f"contrast {contrast.name} compares {name}; there are: {', '.join(near)}"


def _faults_of_cells(sweep: Sweep, cells: Sequence[Cell]) -> Iterator[str]:
    by_fingerprint: dict[str, Cell] = {}
    for cell in cells:
        twin = by_fingerprint.setdefault(cell.stage.fingerprint, cell)
        if twin is not cell:
            yield f"{cell.name} is the same recipe as {twin.name}"
    compared = {name for contrast in sweep.contrasts for name in contrast.weights}
    cells = [cell for cell in cells if cell.setting in compared]
    for cell in cells[1:]:
        first, own = _compared(cells[0]), _compared(cell)
        if unlike := [what for what in first if first[what] != own[what]]:
            axes = [a for a, label in cell.values.items() if label != cells[0].values[a]]
            yield (
                f"{cell.setting} and {cells[0].setting} do not have the same {', '.join(unlike)}, "
                f"so contrasts cannot compare them: {' or '.join(axes)} changes it"
            )


def _compared(cell: Cell) -> dict[str, Any]:
    """What must be the same for two cells to be set beside each other."""
    inputs, spec = cell.stage.inputs, cell.stage.spec
    return {
        "rows": [host.rows.fingerprint for host in inputs.hosts.values()],
        "explanations": inputs.explanations.fingerprint,
        "AR": inputs.pair.ar.fingerprint,
        "encoders": [host.encoder.fingerprint for host in inputs.hosts.values()],
        "scoring": (spec, [host.texts.spec for host in inputs.hosts.values()]),
    }
