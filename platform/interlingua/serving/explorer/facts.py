"""What rows state and what is true of them, as codes of facts. Knows no text.

N rows, A activations, M stated facts of all rows together. A fact is written `kind=value`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from interlingua.serving.explorer.columns import NONE, Lists, flat


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """The facts of an evaluation: those that hold of activations, those that rows state."""

    names: tuple[str, ...]
    kinds: Mapping[str, tuple[str, ...]]  # the values of every kind that hold somewhere
    true: Lists  # of every activation
    stated: Lists  # of every row
    is_true_M: np.ndarray
    num_false_N: np.ndarray

    @classmethod
    def of(cls, rows: pa.Table, activation_N: np.ndarray) -> "Facts":
        """The facts in the rows' columns."""
        true_names = list(flat(rows["true"]))
        names = tuple(dict.fromkeys((*true_names, *flat(rows["said"]))))
        known = pa.array(names, pa.string())
        true = Lists.of(_of_activations(rows["true"], activation_N), known)
        stated = Lists.of(rows["said"], known)
        # One number for an activation and a fact: those of the true ones are the only true ones.
        stated_M = activation_N[stated.rows()] * len(names) + stated.code_M
        is_true_M = np.isin(stated_M, true.rows() * len(names) + true.code_M)
        return cls(
            names=names,
            kinds=kinds_of(true_names),
            true=true,
            stated=stated,
            is_true_M=is_true_M,
            num_false_N=stated.num_of(~is_true_M),
        )

    def of_activation(self, activation: int) -> list[str]:
        """The facts that hold of an activation."""
        return [self.names[code] for code in self.true.code_M[self.true.part(activation)]]

    def of_row(self, row: int) -> list[tuple[str, bool]]:
        """The facts that a row states, each with whether it holds."""
        part = self.stated.part(row)
        codes, hold = self.stated.code_M[part].tolist(), self.is_true_M[part].tolist()
        return [(self.names[code], is_true) for code, is_true in zip(codes, hold, strict=True)]


def kinds_of(facts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The values of every kind among facts, sorted."""
    pairs = sorted((kind, value) for kind, _, value in (fact.partition("=") for fact in facts))
    return {
        kind: tuple(value for _, value in own) for kind, own in groupby(pairs, key=itemgetter(0))
    }


def _of_activations(true: pa.ChunkedArray, activation_N: np.ndarray) -> pa.ChunkedArray:
    """The true facts of every activation, which stand only in rows that have a text."""
    source_A = np.full(activation_N.max(initial=NONE) + 1, NONE)
    known_N = np.flatnonzero(true.is_valid().to_numpy())
    source_A[activation_N[known_N]] = known_N
    return true.take(pa.array(source_A, mask=source_A == NONE))
