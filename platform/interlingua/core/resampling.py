"""Resampled units: one draw for all numbers of a table, so that their differences stay paired.

A unit is what rows depend through, mostly one passage. Knows no interval and no metric. N rows,
U units, R draws, B draws of a block, M ratios, P parents of nested units; F and G two factors.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

NUM_DRAWS = 2000
BLOCK_DRAWS = 256
COUNT = np.uint16  # a quarter of what fp64 takes
# No id holds it: joined by a plain letter, (a, b-c) and (a-b, c) could become one unit.
BETWEEN_LEVELS = "\x1f"


class Ratio(NamedTuple):
    """sum(numerators) / sum(denominators) over rows, and the unit in which every row lies."""

    numerators_N: np.ndarray
    denominators_N: np.ndarray
    units_N: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Counts of every unit in every draw; `outer_U` numbers the outermost unit around each."""

    units_U: np.ndarray  # ids, sorted
    outer_U: np.ndarray
    weights_RU: np.ndarray

    @classmethod
    def of(cls, *levels_N: np.ndarray, seed: int, num_draws: int = NUM_DRAWS) -> Self:
        """Units drawn with replacement; of several levels the outer first, then those within.

        One level: `of(passages)`. Nested: `of(seeds, passages, samples)`, where rows name their
        unit by `unit_ids` of the same levels, and a passage of one seed is another unit than the
        same passage of another seed; where it is not, see `crossed`.
        """
        rng = np.random.default_rng(seed)
        units_U, row_U, outer_N = np.unique(levels_N[0], return_index=True, return_inverse=True)
        weights_RU, around_N = _drawn(num_draws, len(units_U), rng), outer_N
        for depth in range(2, len(levels_N) + 1):
            paths_N = unit_ids(*levels_N[:depth])
            units_U, row_U, place_N = np.unique(paths_N, return_index=True, return_inverse=True)
            weights_RU = _drawn_within(weights_RU, around_N[row_U], rng)
            around_N = place_N
        return cls(units_U=units_U, outer_U=outer_N[row_U], weights_RU=weights_RU)

    @classmethod
    def crossed(
        cls, first_N: np.ndarray, second_N: np.ndarray, *, seed: int, num_draws: int = NUM_DRAWS
    ) -> Self:
        """Two factors drawn independently, as where every seed was scored on the same passages."""
        rng = np.random.default_rng(seed)
        units_U, row_U = np.unique(unit_ids(first_N, second_N), return_index=True)
        first_F, of_first_N = np.unique(first_N, return_inverse=True)
        second_G, of_second_N = np.unique(second_N, return_inverse=True)
        first_RF = _drawn(num_draws, len(first_F), rng)
        second_RG = _drawn(num_draws, len(second_G), rng)
        # A pair counts as often as both of its factors were drawn: the product, not a third draw.
        weights_RU = np.multiply(
            first_RF[:, of_first_N[row_U]], second_RG[:, of_second_N[row_U]], dtype=np.uint32
        )
        return cls(units_U=units_U, outer_U=of_first_N[row_U], weights_RU=weights_RU)

    def places(self, units_N: np.ndarray) -> np.ndarray:
        """The column of the weights that every row's unit has."""
        # Behind the last unit searchsorted gives U: clipped, and then refused as another unit.
        places_N = np.searchsorted(self.units_U, units_N).clip(max=len(self.units_U) - 1)
        is_known_N = self.units_U[places_N] == units_N
        if not np.all(is_known_N):
            raise ValueError(f"{np.count_nonzero(~is_known_N)} rows lie in units never drawn from")
        return places_N

    def blocks(self) -> Iterator[np.ndarray]:
        """The weights in fp64, some draws at a time."""
        for start in range(0, len(self.weights_RU), BLOCK_DRAWS):
            yield self.weights_RU[start : start + BLOCK_DRAWS].astype(np.float64)

    def ratios(self, ratios: Mapping[str, Ratio]) -> dict[str, "Drawn"]:
        """Every ratio in every draw, by matrix products; NaN where its rows were not drawn."""
        if not ratios:
            return {}
        # A draw weighs whole units: rows are summed by unit once, and draws are matrix products.
        # S is the pair numerator and denominator.
        sums_MSU = np.array([self._sums(name, ratio) for name, ratio in ratios.items()])
        values_M = sums_MSU[:, 0].sum(axis=-1) / sums_MSU[:, 1].sum(axis=-1)
        sums_XU = sums_MSU.reshape(-1, sums_MSU.shape[-1])
        drawn_XR = np.concatenate([sums_XU @ weights_BU.T for weights_BU in self.blocks()], axis=1)
        # Numerators and denominators alternate.
        above_MR, below_MR = drawn_XR[::2], drawn_XR[1::2]
        drawn_MR = np.full(above_MR.shape, np.nan)
        np.divide(above_MR, below_MR, out=drawn_MR, where=below_MR != 0)
        return {
            name: Drawn(value=float(value), draws_R=draws_R, num_units=num_units, table=self)
            for name, value, draws_R, num_units in zip(
                ratios, values_M, drawn_MR, map(self._num_units, ratios.values()), strict=True
            )
        }

    def ratio(self, ratio: Ratio) -> "Drawn":
        """One ratio in every draw."""
        return self.ratios({"ratio": ratio})["ratio"]

    def _sums(self, name: str, ratio: Ratio) -> tuple[np.ndarray, np.ndarray]:
        """Numerators and denominators of one ratio by unit; refuses what would spoil the table."""
        places_N, num_units = self.places(ratio.units_N), len(self.units_U)
        above_U = np.bincount(places_N, weights=ratio.numerators_N, minlength=num_units)
        below_U = np.bincount(places_N, weights=ratio.denominators_N, minlength=num_units)
        if not np.isfinite(above_U.sum() + below_U.sum()):
            raise ValueError(f"{name} has rows that are not finite; drop and count them")
        if below_U.sum() == 0:
            raise ValueError(f"{name} divides by zero: it has no rows, or none that count")
        return above_U, below_U

    def _num_units(self, ratio: Ratio) -> int:
        return len(np.unique(self.outer_U[self.places(ratio.units_N)]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A number, what it was in every draw, and how many (outermost) units stand behind it."""

    value: float
    draws_R: np.ndarray
    num_units: int
    table: Draws


def combined(function: Callable[..., Any], *drawn: Drawn) -> Drawn:
    """A function of numbers of one table, draw by draw: a difference, a mean over hosts, ..."""
    # The very same object: equal shapes would subtract as well, and give unpaired intervals.
    table = drawn[0].table
    if any(other.table is not table for other in drawn):
        raise ValueError("numbers of different draws are not paired: draw once for the table")
    return Drawn(
        value=float(function(*(one.value for one in drawn))),
        draws_R=function(*(one.draws_R for one in drawn)),
        num_units=min(one.num_units for one in drawn),
        table=table,
    )


def difference(left: Drawn, right: Drawn) -> Drawn:
    """left - right, paired: both in the same draws."""
    return combined(lambda one, other: one - other, left, right)


def unit_ids(*levels_N: np.ndarray) -> np.ndarray:
    """The id of every row's innermost unit, of the ids of all the units around it."""
    if len(levels_N) == 1:
        return np.asarray(levels_N[0])
    paths = zip(*levels_N, strict=True)
    return np.array([BETWEEN_LEVELS.join(map(str, path)) for path in paths])


def _drawn(num_draws: int, num_units: int, rng: np.random.Generator) -> np.ndarray:
    """Counts of every unit in every draw, which takes as many units as there are."""
    weights_RU = np.empty((num_draws, num_units), dtype=COUNT)
    # Counts of a block stay in cache: ten times as fast as rng.multinomial.
    for start in range(0, num_draws, BLOCK_DRAWS):
        block_BU = weights_RU[start : start + BLOCK_DRAWS]
        taken_BU = rng.integers(num_units, size=block_BU.shape, dtype=np.int32)
        # Every draw counts in a range of numbers of its own, so that one bincount serves a block.
        taken_BU += num_units * np.arange(len(block_BU), dtype=np.int32)[:, None]
        counts_X = np.bincount(taken_BU.ravel(), minlength=block_BU.size)
        block_BU[:] = counts_X.reshape(block_BU.shape)
    return weights_RU


def _drawn_within(
    weights_RP: np.ndarray, parent_U: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Counts of units that are drawn within their parents, as many of each as the parent has.

    A parent that was taken w times is drawn within w times.
    """
    weights_RU = np.empty((len(weights_RP), len(parent_U)), dtype=COUNT)
    order_U, sizes_P = np.argsort(parent_U, kind="stable"), np.bincount(parent_U)
    for parent, own in enumerate(np.split(order_U, np.cumsum(sizes_P)[:-1])):
        # w draws of n units are one multinomial of w n, which would wrap in silence in uint16.
        times_R = weights_RP[:, parent].astype(np.int64) * len(own)
        weights_RU[:, own] = rng.multinomial(times_R, np.full(len(own), 1 / len(own)))
    return weights_RU
