"""Precision and recall of the facts that explanations state, for every kind of fact.

A fact is a pair (kind, value). Knows no text and no world: facts are parsed from texts elsewhere.
Against facts of other passages, the same counts give what guessing would reach.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from interlingua.core.resampling import Drawn, Draws, Ratio

ALL_KINDS = "all"

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertions:
    """The facts that a text asserts, and how much of it is in the teacher's wordings."""

    facts: tuple[Fact, ...]  # each once, in the order of the text
    num_clauses: int
    num_known_clauses: int

    def true_facts(self, truth: Mapping[str, str]) -> tuple[Fact, ...]:
        """The asserted facts that hold."""
        return tuple((fact, value) for fact, value in self.facts if truth[fact] == value)


class FactCounts(NamedTuple):
    """Of every row, the numbers of facts of one kind that are stated, that are true, and both."""

    num_said: np.ndarray
    num_true: np.ndarray
    num_both: np.ndarray


def fact_counts(
    said: Sequence[Collection[Fact]], true: Sequence[Collection[Fact]]
) -> dict[str, FactCounts]:
    """The counts of every kind that is stated or true anywhere, and of all kinds together.

    `said` and `true` have an entry for each row.
    """
    kinds = sorted({kind for facts in (*said, *true) for kind, _ in facts})
    if ALL_KINDS in kinds:
        raise ValueError(f"a kind of fact is named {ALL_KINDS!r}, which stands for all kinds")
    # Flags of facts: to repeat a fact does not make it count twice.
    place = {
        fact: index for index, fact in enumerate({f for facts in (*said, *true) for f in facts})
    }
    is_said_NF, is_true_NF = (_flags(rows, place) for rows in (said, true))
    is_of_kind_FK = np.array([[kind == own for kind in kinds] for own, _ in place], dtype=float)
    is_of_kind_FK = is_of_kind_FK.reshape(len(place), len(kinds))
    counts_3NK = np.array(
        [is_NF @ is_of_kind_FK for is_NF in (is_said_NF, is_true_NF, is_said_NF & is_true_NF)]
    )
    by_kind = {kind: FactCounts(*counts_3NK[:, :, index]) for index, kind in enumerate(kinds)}
    return {ALL_KINDS: FactCounts(*counts_3NK.sum(axis=2)), **by_kind}


def _flags(rows: Sequence[Collection[Fact]], place: Mapping[Fact, int]) -> np.ndarray:
    is_there_NF = np.zeros((len(rows), len(place)), dtype=bool)
    sizes = [len(facts) for facts in rows]
    columns = [place[fact] for facts in rows for fact in facts]
    is_there_NF[np.repeat(np.arange(len(rows)), sizes), columns] = True
    return is_there_NF


def truth_drawn(
    counts: Mapping[str, FactCounts], passages_N: np.ndarray, draws: Draws
) -> dict[str, Drawn]:
    """`precision/kind`, `recall/kind`, `f1/kind`; no precision of what is never stated."""
    return draws.ratios(truth_ratios(counts, passages_N))


def truth_ratios(counts: Mapping[str, FactCounts], passages_N: np.ndarray) -> dict[str, Ratio]:
    """The same before they are drawn."""
    ratios = {}
    for kind, (said_N, true_N, both_N) in counts.items():
        ratios[f"precision/{kind}"] = Ratio(both_N, said_N, passages_N)
        ratios[f"recall/{kind}"] = Ratio(both_N, true_N, passages_N)
        # The harmonic mean of the two as one ratio of sums, so that it is resampled like any other.
        ratios[f"f1/{kind}"] = Ratio(2 * both_N, said_N + true_N, passages_N)
    return {name: ratio for name, ratio in ratios.items() if ratio.denominators_N.any()}
