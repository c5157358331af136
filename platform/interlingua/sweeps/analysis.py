"""The analysis of a sweep, from the rows and records of its cells alone. Knows no model.

Settings are compared on the seeds that all of them finished: a setting that lost a seed would else
be compared with other trainings than its rivals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.cell_scores import SCORES, unit_names
from interlingua.core.contrasts import Cells, Contrast, Effect, effects
from interlingua.core.statistics import Estimate, mean_of_units
from interlingua.specs.sweeps import SweepSpec
from interlingua.store.artifact import Artifact, lineage
from interlingua.store.progress import read_dev_evals
from interlingua.store.provenance import command_of
from interlingua.store.rows.cells import read_cell

PRIMARY = "log_likelihood"
KEYS = ("host", "passage_id", "position")

CellsOf = Mapping[str, Mapping[str, Artifact]]


class CellsUnlike(ValueError):
    """Cells of one sweep whose rows are not the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What one cell came to: its record's numbers, what it cost, and how it learned."""

    setting: str
    seed: int
    metrics: Mapping[str, float]
    seconds: float  # of its own stages
    peak_bytes: int
    trial_id: str | None
    affine: Mapping[str, Any]  # how far its maps went, where it has some
    dev_evals: Sequence[Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Cells, the mean of every setting over seeds, and the effects of the contrasts, by score."""

    cells: tuple[CellResult, ...]
    num_rows: int
    num_passages: int
    seeds: tuple[int, ...]  # that every compared setting has
    compared: tuple[str, ...]
    means: Mapping[str, Mapping[str, Estimate]]  # by score and setting
    effects: Mapping[str, tuple[Effect, ...]]  # by score
    commands: tuple[str, ...]

    def metrics(self) -> dict[str, float]:
        """The effects for a record: mean, interval over seeds, adjusted p."""
        found: dict[str, float] = {}
        for score, of_score in self.effects.items():
            for effect in of_score:
                interval = effect.over_seeds or effect.over_rows
                found |= interval.as_metrics(f"{score}/{effect.name}")
                if effect.adjusted_p is not None:
                    found[f"{score}/{effect.name}_p"] = effect.adjusted_p
        return found


def analysed(spec: SweepSpec, cells: CellsOf, root: Path) -> Analysis:
    """Everything that a sweep says."""
    columns = {
        (setting, int(seed)): read_cell(artifact.path)
        for setting, of_setting in cells.items()
        for seed, artifact in of_setting.items()
    }
    if not columns:
        raise ValueError(f"no cell of {spec.name} is finished; there is nothing to compare")
    contrasts = [
        Contrast(name=one.name, weights=dict(zip(one.settings, one.weights, strict=True)))
        for one in spec.contrasts
    ]
    order = [name for name, *_ in spec.settings]
    asked = {name for contrast in contrasts for name in contrast.weights} or set(order)
    compared = tuple(name for name in order if name in asked)
    seeds = tuple(s for s in spec.seeds if all((name, s) in columns for name in compared))
    first = next(iter(columns.values()))
    of_score: dict[str, tuple[Effect, ...]] = {}
    if contrasts and seeds:
        check_alike({f"{name}-seed{s}": columns[name, s] for name in compared for s in seeds})
        for score in SCORES:
            matrix = cells_of_score(score, compared, seeds, columns)
            of_score[score] = tuple(effects(contrasts, matrix, seed=spec.seed))
    return Analysis(
        cells=tuple(
            cell_result(setting, int(seed), artifact, root)
            for setting in order
            for seed, artifact in cells.get(setting, {}).items()
        ),
        num_rows=len(first["passage_id"]),
        num_passages=len(set(first["passage_id"])),
        seeds=seeds,
        compared=compared,
        means={score: _means(score, order, columns) for score in SCORES},
        effects=of_score,
        commands=commands_of(cells),
    )


def commands_of(cells: CellsOf) -> tuple[str, ...]:
    """The commands that made the cells."""
    records = [one.record for of_setting in cells.values() for one in of_setting.values()]
    given = sorted({record.provenance.argv for record in records})
    return tuple(command_of(argv) for argv in given if argv)


def cells_of_score(
    score: str,
    settings: Sequence[str],
    seeds: Sequence[int],
    columns: Mapping[tuple[str, int], Mapping[str, np.ndarray]],
) -> Cells:
    """One score of settings x seeds on the same rows."""
    first = columns[settings[0], seeds[0]]
    above = [[SCORES[score].above(columns[name, s]) for s in seeds] for name in settings]
    return Cells(
        settings=tuple(settings),
        above_CSN=np.array(above, np.float64),
        below_N=np.asarray(SCORES[score].below(first), np.float64),
        units_N=unit_names(first),
    )


def check_alike(columns: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Raise unless all cells have the same rows, with as much to explain in each."""
    (first_name, first), *others = columns.items()
    for name, own in others:
        for key in KEYS:
            if not np.array_equal(first[key], own[key]):
                raise CellsUnlike(f"{name} and {first_name} have other rows ({key})")
        for score in SCORES.values():
            if not np.allclose(score.below(first), score.below(own), rtol=1e-6):
                raise CellsUnlike(f"{name} and {first_name} have other texts or vectors to explain")


def cell_result(setting: str, seed: int, artifact: Artifact, root: Path) -> CellResult:
    """One cell from its record and those of its own training."""
    upstream = {one.record.fingerprint: one for one in lineage(artifact, root)}
    inputs = artifact.record.inputs
    trained = upstream[inputs["pair.av"].fingerprint]
    texts = [upstream[one.fingerprint] for name, one in inputs.items() if name.endswith(".texts")]
    own = [artifact, trained, *texts]
    return CellResult(
        setting=setting,
        seed=seed,
        metrics=artifact.record.metrics,
        seconds=sum(one.record.seconds for one in own),
        peak_bytes=max(one.record.peak_bytes or 0 for one in own),
        trial_id=artifact.record.provenance.trial_id,
        affine={n: v for n, v in trained.record.metrics.items() if n.startswith("affine/")},
        dev_evals=read_dev_evals(trained.path),
    )


def _means(
    score: str,
    settings: Sequence[str],
    columns: Mapping[tuple[str, int], Mapping[str, np.ndarray]],
) -> dict[str, Estimate]:
    """The mean of every setting over all seeds that it finished, with Student's interval."""
    found = {}
    for setting in settings:
        own = [of_cell for (name, _), of_cell in columns.items() if name == setting]
        values = [float(SCORES[score].above(c).sum() / SCORES[score].below(c).sum()) for c in own]
        if values:
            found[setting] = _mean(values)
    return found


def _mean(values: Sequence[float]) -> Estimate:
    """The mean over seeds; one seed has a value and no interval."""
    if len(values) > 1:
        return mean_of_units(np.array(values))
    return Estimate(value=values[0], low=nan, high=nan, num_units=1)
