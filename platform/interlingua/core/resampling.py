"""Resampled units: one draw for all numbers of a table, so that their differences stay paired.

A unit is what rows depend through, mostly one passage. Knows no interval and no metric. N rows,
U units, R draws, B draws of a block, M ratios, P parents of nested units; F and G two factors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

NUM_DRAWS = 2000
BLOCK_DRAWS = 256
DENSE_BYTES = 2**28  # up to which weights in fp64 are held for all numbers of a table
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
    dense: list[np.ndarray] = field(default_factory=list, init=False, repr=False)

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
        if not self.dense and self.weights_RU.size * np.dtype(np.float64).itemsize > DENSE_BYTES:
            yield from self._dense_blocks()
            return
        # Made once for all numbers of a table: to convert counts takes longer than the product.
        if not self.dense:
            self.dense.extend(self._dense_blocks())
        yield from self.dense

    def ratios(self, ratios: Mapping[str, Ratio]) -> dict[str, "Drawn"]:
        """Every ratio in every draw, by matrix products; NaN where its rows were not drawn."""
        if not ratios:
            return {}
        # A draw weighs whole units: rows are summed by unit once, and draws are matrix products.
        sums = _SumsByUnit(self)
        above_M, below_M = np.array([sums.places_of(ratio) for ratio in ratios.values()]).T
        sums_XU = np.array(sums.sums)
        values_X = sums_XU.sum(axis=-1)
        _check(list(ratios), values_X[above_M], values_X[below_M])
        drawn_XR = np.concatenate([sums_XU @ weights_BU.T for weights_BU in self.blocks()], axis=1)
        below_MR = drawn_XR[below_M]
        drawn_MR = np.full(below_MR.shape, np.nan)
        np.divide(drawn_XR[above_M], below_MR, out=drawn_MR, where=below_MR != 0)
        values_M = values_X[above_M] / values_X[below_M]
        return {
            name: Drawn(
                value=float(value),
                draws_R=draws_R,
                num_units=sums.num_units(ratio.units_N),
                table=self,
            )
            for (name, ratio), value, draws_R in zip(
                ratios.items(), values_M, drawn_MR, strict=True
            )
        }

    def ratio(self, ratio: Ratio) -> "Drawn":
        """One ratio in every draw."""
        return self.ratios({"ratio": ratio})["ratio"]

    def _dense_blocks(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.weights_RU), BLOCK_DRAWS):
            yield self.weights_RU[start : start + BLOCK_DRAWS].astype(np.float64)


def _check(names: Sequence[str], above_M: np.ndarray, below_M: np.ndarray) -> None:
    """Refuse what would spoil the table."""
    for name, is_finite, below in zip(names, np.isfinite(above_M + below_M), below_M, strict=True):
        if not is_finite:
            raise ValueError(f"{name} has rows that are not finite; drop and count them")
        if below == 0:
            raise ValueError(f"{name} divides by zero: it has no rows, or none that count")


class _SumsByUnit:
    """Columns of one call summed by unit, each once: most ratios share their denominator."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self.sums: list[np.ndarray] = []
        # By identity, which is safe while the caller's ratios hold the arrays.
        self._place: dict[tuple[int, int], int] = {}
        self._units: dict[int, tuple[np.ndarray, int]] = {}

    def places_of(self, ratio: Ratio) -> tuple[int, int]:
        """Where the sums of a ratio's numerators and of its denominators stand in `sums`."""
        above_N, below_N, units_N = ratio
        return self._summed(above_N, units_N), self._summed(below_N, units_N)

    def num_units(self, units_N: np.ndarray) -> int:
        """How many outermost units rows lie in."""
        return self._of_units(units_N)[1]

    def _summed(self, column_N: np.ndarray, units_N: np.ndarray) -> int:
        key = id(column_N), id(units_N)
        if key not in self._place:
            places_N, _ = self._of_units(units_N)
            num_units = len(self._draws.units_U)
            self._place[key] = len(self.sums)
            self.sums.append(np.bincount(places_N, weights=column_N, minlength=num_units))
        return self._place[key]

    def _of_units(self, units_N: np.ndarray) -> tuple[np.ndarray, int]:
        if id(units_N) not in self._units:
            places_N = self._draws.places(units_N)
            num_units = len(np.unique(self._draws.outer_U[places_N]))
            self._units[id(units_N)] = places_N, num_units
        return self._units[id(units_N)]


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
