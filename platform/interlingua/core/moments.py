"""Second moments of streamed rows (x, y): all that a linear fit needs. Rows are not stored.

Blocks are joined about their own means: a mean far larger than the spread costs no digits, as it
would with plain sums. Knows no solver, no host and no file. x [N, D] are inputs, y [N, E] outputs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import add
from typing import NamedTuple, Self

import numpy as np

# Rows taken in at once, where no spec says how many. Another number rounds the sums elsewhere.
BLOCK_ROWS = 512

Block = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, the fold of every row


class Products(NamedTuple):
    """Sums of products of rows about some origin."""

    xx_DD: np.ndarray
    xy_DE: np.ndarray
    yy_E: np.ndarray


@dataclass(slots=True, kw_only=True, eq=False)
class Moments:
    """The number of rows, their means, and sums of products about the means; all in fp64."""

    num_rows: int
    mean_x_D: np.ndarray
    mean_y_E: np.ndarray
    xx_DD: np.ndarray
    xy_DE: np.ndarray
    yy_E: np.ndarray

    @classmethod
    def empty(cls, num_inputs: int, num_outputs: int) -> Self:
        """No rows yet."""
        return cls(
            num_rows=0,
            mean_x_D=np.zeros(num_inputs),
            mean_y_E=np.zeros(num_outputs),
            xx_DD=np.zeros((num_inputs, num_inputs)),
            xy_DE=np.zeros((num_inputs, num_outputs)),
            yy_E=np.zeros(num_outputs),
        )

    @classmethod
    def of_rows(cls, x_ND: np.ndarray, y_NE: np.ndarray) -> Self:
        """The moments of one block of rows; ValueError where a value is not finite."""
        if len(x_ND) != len(y_NE) or len(x_ND) == 0:
            raise ValueError(f"{len(x_ND)} rows of x and {len(y_NE)} of y: want equally many, >= 1")
        mean_x_D, mean_y_E = _finite_mean(x_ND), _finite_mean(y_NE)
        # fp32 rows less an fp64 mean are fp64, and so are the products of them.
        about_x_ND, about_y_NE = x_ND - mean_x_D, y_NE - mean_y_E
        return cls(
            num_rows=len(x_ND),
            mean_x_D=mean_x_D,
            mean_y_E=mean_y_E,
            xx_DD=about_x_ND.T @ about_x_ND,
            xy_DE=about_x_ND.T @ about_y_NE,
            yy_E=np.einsum("ne,ne->e", about_y_NE, about_y_NE),
        )

    def join(self, other: "Moments") -> None:
        """Take the rows of `other` in, in place."""
        if other.num_rows == 0:
            return
        share = other.num_rows / (self.num_rows + other.num_rows)
        # n m / (n + m): the weight of the step between the two means in the joined sums. Every step
        # is taken before a mean or the count moves.
        between = self.num_rows * share
        step_x_D = other.mean_x_D - self.mean_x_D
        step_y_E = other.mean_y_E - self.mean_y_E
        self.xx_DD += other.xx_DD + between * np.outer(step_x_D, step_x_D)
        self.xy_DE += other.xy_DE + between * np.outer(step_x_D, step_y_E)
        self.yy_E += other.yy_E + between * step_y_E**2
        self.mean_x_D += share * step_x_D
        self.mean_y_E += share * step_y_E
        self.num_rows += other.num_rows

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of the rows of both."""
        total = Moments.empty(len(self.mean_x_D), len(self.mean_y_E))
        total.join(self)
        total.join(other)
        return total

    def about(self, origin_x_D: np.ndarray, origin_y_E: np.ndarray) -> Products:
        """The sums of products about an origin of choice."""
        step_x_D = self.mean_x_D - origin_x_D
        step_y_E = self.mean_y_E - origin_y_E
        return Products(
            xx_DD=self.xx_DD + self.num_rows * np.outer(step_x_D, step_x_D),
            xy_DE=self.xy_DE + self.num_rows * np.outer(step_x_D, step_y_E),
            yy_E=self.yy_E + self.num_rows * step_y_E**2,
        )

    def of_outputs(self, columns: slice) -> "Moments":
        """The moments with some columns of y only; views of these: never `join` rows into them."""
        return replace(
            self,
            mean_y_E=self.mean_y_E[columns],
            xy_DE=self.xy_DE[:, columns],
            yy_E=self.yy_E[columns],
        )


@dataclass(frozen=True, slots=True, eq=False)
class FoldMoments:
    """Moments of every fold apart, so that a ridge is chosen without reading the rows again."""

    folds: tuple[Moments, ...]

    @classmethod
    def empty(cls, num_inputs: int, num_outputs: int, *, num_folds: int) -> Self:
        """No rows yet in any fold."""
        return cls(tuple(Moments.empty(num_inputs, num_outputs) for _ in range(num_folds)))

    @classmethod
    def of_blocks(cls, blocks: Iterable[Block], *, num_folds: int) -> Self:
        """The moments of streamed rows, taken in one block after the other."""
        folds: Self | None = None
        for x_ND, y_NE, folds_N in blocks:
            if folds is None:
                folds = cls.empty(x_ND.shape[1], y_NE.shape[1], num_folds=num_folds)
            folds.add(x_ND, y_NE, folds_N)
        return cls.empty(0, 0, num_folds=num_folds) if folds is None else folds

    @property
    def num_rows(self) -> int:
        """The number of rows in all folds."""
        return sum(moments.num_rows for moments in self.folds)

    @property
    def num_occupied(self) -> int:
        """The number of folds with a row."""
        return sum(1 for moments in self.folds if moments.num_rows)

    def add(self, x_ND: np.ndarray, y_NE: np.ndarray, folds_N: np.ndarray) -> None:
        """Take in a block of rows, each into its fold, in place."""
        present = np.unique(folds_N)
        # A negative fold would be taken from the end, in silence.
        if len(present) and not 0 <= present[0] <= present[-1] < len(self.folds):
            raise ValueError(f"folds {present.tolist()} are not all in 0..{len(self.folds) - 1}")
        for fold in present:
            rows_N = folds_N == fold
            self.folds[fold].join(Moments.of_rows(x_ND[rows_N], y_NE[rows_N]))

    def __add__(self, other: "FoldMoments") -> "FoldMoments":
        """The moments of the rows that two workers saw."""
        pairs = zip(self.folds, other.folds, strict=True)
        return FoldMoments(tuple(left + right for left, right in pairs))

    def total(self) -> Moments:
        """The moments of all rows."""
        return reduce(add, self.folds)

    def without(self, fold: int) -> Moments:
        """The moments of the rows outside one fold."""
        # Added up from the others: the total less this fold would cancel digits, and a diagonal
        # could come out below zero.
        return reduce(add, self.folds[:fold] + self.folds[fold + 1 :])

    def of_outputs(self, columns: slice) -> "FoldMoments":
        """The moments with some columns of y only: targets side by side share one pass over x."""
        return FoldMoments(tuple(moments.of_outputs(columns) for moments in self.folds))

    def as_arrays(self) -> dict[str, np.ndarray]:
        """Named arrays, for `from_arrays`."""
        return {
            f"{fold}.{field.name}": np.asarray(getattr(moments, field.name))
            for fold, moments in enumerate(self.folds)
            for field in fields(Moments)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The moments that `as_arrays` gave."""
        num_folds = len(arrays) // len(fields(Moments))
        return cls(tuple(_moments(arrays, fold) for fold in range(num_folds)))


def fold_of(passage_id: str, num_folds: int) -> int:
    """The fold of a passage, by content alone: all rows of a passage are in one fold.

    In several, held rows would be predicted by a map that was fitted on their own passage.
    """
    digest = hashlib.sha256(f"fold|{passage_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % num_folds


def folds_of(passage_ids: Iterable[str], num_folds: int) -> np.ndarray:
    """The fold of every passage."""
    return np.array([fold_of(passage_id, num_folds) for passage_id in passage_ids], dtype=int)


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Slices of BLOCK_ROWS rows each, which cover this many rows in order."""
    return (slice(start, start + BLOCK_ROWS) for start in range(0, num_rows, BLOCK_ROWS))


def _moments(arrays: Mapping[str, np.ndarray], fold: int) -> Moments:
    names = [field.name for field in fields(Moments) if field.name != "num_rows"]
    return Moments(
        num_rows=int(arrays[f"{fold}.num_rows"]),
        **{name: arrays[f"{fold}.{name}"] for name in names},
    )


def _finite_mean(x_ND: np.ndarray) -> np.ndarray:
    # One bad value makes its column's mean bad, and would make every weight of the fit NaN.
    mean_D = x_ND.mean(axis=0, dtype=np.float64)
    num_bad = int(np.count_nonzero(~np.isfinite(mean_D)))
    if num_bad:
        raise ValueError(f"{num_bad} columns of a block hold values that are not finite")
    return mean_D
