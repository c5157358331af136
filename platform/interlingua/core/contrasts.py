"""Contrasts of settings over seeds: what a choice is worth, on the same rows, with both doubts.

A claim that one way of training is better is a claim of trainings that were not run: its unit is
the seed. Resampled rows say how well these trainings were measured, and nothing of others. So both
intervals stand beside each other, and the one over seeds decides.

C settings, S seeds, N rows. Every setting has the same seeds, and every cell the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from interlingua.core.resampling import Draws, Ratio, unit_ids
from interlingua.core.statistics import CONFIDENCE, Estimate, estimate_of, holm, mean_of_units

POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """Scores of settings x seeds on the same rows: sum(above) / sum(below) is a cell's score.

    An FVE has the variance less the error above and the variance below, an NLL a token the NLL
    above and the number of tokens below. Rows of one unit (a passage) are not independent.
    """

    settings: tuple[str, ...]
    above_CSN: np.ndarray
    below_N: np.ndarray
    units_N: np.ndarray

    def __post_init__(self) -> None:
        num_settings, _, num_rows = self.above_CSN.shape
        if num_settings != len(self.settings) or num_rows != len(self.below_N):
            raise ValueError(
                f"{len(self.settings)} settings and {len(self.below_N)} rows, but scores of "
                f"{num_settings} settings and {num_rows} rows"
            )
        if not np.isfinite(self.above_CSN).all():
            raise ValueError("a cell has a score that is not finite: leave the cell out and say so")

    def scores_CS(self) -> np.ndarray:
        """The score of every cell."""
        return np.asarray(self.above_CSN.sum(axis=-1) / self.below_N.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A weighted sum of settings whose weights add up to 0, named before anything is run."""

    name: str
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if abs(sum(self.weights.values())) > 1e-9 or not any(self.weights.values()):
            raise ValueError(
                f"the weights of {self.name} are {dict(self.weights)}; they must add up to 0, so "
                "that settings which are all alike give 0"
            )

    def row_C(self, settings: Sequence[str]) -> np.ndarray:
        """The weights in the order of the settings."""
        if missing := [name for name in self.weights if name not in settings]:
            raise ValueError(
                f"{self.name} compares {', '.join(missing)}; there are: {', '.join(settings)}"
            )
        return np.array([self.weights.get(setting, 0.0) for setting in settings])


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The size of one contrast, and every doubt of it.

    `over_seeds`: Student's, of trainings like these; None with one seed. `over_rows`: passages are
    resampled and these trainings are fixed. `over_both`: seeds and passages are resampled; of few
    seeds it is too narrow. `adjusted_p` is by Holm over the family. `detectable` is the least
    effect that so many seeds of such a spread find four times out of five.
    """

    name: str
    by_seed: tuple[float, ...]
    over_seeds: Estimate | None
    over_rows: Estimate
    over_both: Estimate | None
    p: float | None
    adjusted_p: float | None
    detectable: float | None

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return self.over_rows.value


def effects(contrasts: Sequence[Contrast], cells: Cells, *, seed: int) -> list[Effect]:
    """Every contrast, with p adjusted for how many there are."""
    by_seed = [contrast.row_C(cells.settings) @ cells.scores_CS() for contrast in contrasts]
    p_values = {
        contrast.name: _p_of(by_seed_S)
        for contrast, by_seed_S in zip(contrasts, by_seed, strict=True)
    }
    known = {name: p for name, p in p_values.items() if p is not None}
    adjusted = holm(known) if known else {}
    # One set of draws for all contrasts, so that they stay paired with each other, too.
    over_rows, over_both = _Resampled(cells, seed), _Resampled(cells, seed, with_seeds=True)
    return [
        Effect(
            name=contrast.name,
            by_seed=tuple(by_seed_S.tolist()),
            over_seeds=mean_of_units(by_seed_S) if len(by_seed_S) > 1 else None,
            over_rows=over_rows.of(contrast),
            over_both=over_both.of(contrast) if len(by_seed_S) > 1 else None,
            p=p_values[contrast.name],
            adjusted_p=adjusted.get(contrast.name),
            detectable=_detectable_of(by_seed_S),
        )
        for contrast, by_seed_S in zip(contrasts, by_seed, strict=True)
    ]


def detectable(deviation: float, num_seeds: int) -> float:
    """The least effect found with a power of 80% at this deviation between seeds."""
    if num_seeds < 2:
        raise ValueError(f"{num_seeds} seed finds no effect of any size: run at least 2")
    quantiles = stats.t.ppf([(1 + CONFIDENCE) / 2, POWER], num_seeds - 1)
    return float(quantiles.sum() * deviation / np.sqrt(num_seeds))


def _detectable_of(by_seed_S: np.ndarray) -> float | None:
    """The least effect that these seeds could have found; None of a single one."""
    if len(by_seed_S) < 2:
        return None
    return detectable(float(np.std(by_seed_S, ddof=1)), len(by_seed_S))


def _p_of(by_seed_S: np.ndarray) -> float | None:
    if len(by_seed_S) < 2:
        return None
    if not np.ptp(by_seed_S):  # no spread at all: only an effect of 0 could have come by chance
        return float(by_seed_S[0] == 0)
    return float(stats.ttest_1samp(by_seed_S, 0.0).pvalue)


class _Resampled:
    """Contrasts in draws of passages, or of seeds and passages."""

    def __init__(self, cells: Cells, seed: int, *, with_seeds: bool = False) -> None:
        self._cells = cells
        num_seeds = cells.above_CSN.shape[1]
        # Row after row of seed after seed, as `above_CSN` lies in memory.
        self._units = np.tile(cells.units_N, num_seeds)
        self._below = np.tile(cells.below_N, num_seeds)
        if with_seeds:
            seeds = np.repeat(np.arange(num_seeds), len(cells.units_N))
            self._draws = Draws.crossed(seeds, self._units, seed=seed)
            self._units = unit_ids(seeds, self._units)
        else:
            self._draws = Draws.of(cells.units_N, seed=seed)

    def of(self, contrast: Contrast) -> Estimate:
        """The mean over seeds: rows of all seeds have the same denominators."""
        weights_C = contrast.row_C(self._cells.settings)
        above = np.tensordot(weights_C, self._cells.above_CSN, axes=1).reshape(-1)
        return estimate_of(self._draws.ratio(Ratio(above, self._below, self._units)))
