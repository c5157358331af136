"""What the cells of a sweep are compared by, from their rows. Knows no file and no model.

Every score is a ratio of sums over rows, and larger is better in all of them, so that a positive
effect is an improvement whichever is looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from interlingua.core.statistics import clustered_ratio_of_sums

Columns = Mapping[str, np.ndarray]
Column = Callable[[Columns], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score of a cell: sum(above) / sum(below).

    `trivial` is what the dumbest system scores: it ignores the vector, or always says one thing.
    """

    title: str
    above: Column
    below: Column
    trivial: str


def _ones(columns: Columns) -> np.ndarray:
    return np.ones(len(columns["passage_id"]))


SCORES = {
    "log_likelihood": Score(
        title="log-likelihood a token of the teacher's explanation (minus the NLL, nats)",
        above=lambda columns: -columns["nll_real"],
        below=lambda columns: columns["num_tokens"],
        trivial="another passage's vector in its place",
    ),
    "fve": Score(
        title="FVE of sampled explanations through the frozen AR, in the shared space",
        above=lambda columns: columns["own_variance"] - columns["nmse"],
        below=lambda columns: columns["own_variance"],
        trivial="the mean vector: 0",
    ),
    "retrieval_top1": Score(
        title="share of rows whose own vector is the nearest to what the AR makes of the text",
        above=lambda columns: columns["top1"],
        below=_ones,
        trivial="a constant: one in the number of rows",
    ),
}


def unit_names(columns: Columns) -> np.ndarray:
    """The passage of every row: rows of one passage are not independent, whatever the host."""
    return np.asarray(columns["passage_id"])


def cell_metrics(columns: Columns, *, seed: int) -> dict[str, float]:
    """Every score of one cell, and its controls, with intervals over passages."""
    passages_N, tokens_N = unit_names(columns), columns["num_tokens"]
    ratios = {name: (score.above(columns), score.below(columns)) for name, score in SCORES.items()}
    ratios["nll"] = columns["nll_real"], tokens_N
    for name in ("shuffled", "zero"):
        # Paired row by row: how hard a text is cancels out.
        ratios[f"nll_{name}_less_real"] = columns[f"nll_{name}"] - columns["nll_real"], tokens_N
    ratios["unparsable"] = columns["unparsable"], _ones(columns)
    del ratios["log_likelihood"]
    return {
        key: value
        for name, (above_N, below_N) in ratios.items()
        for key, value in clustered_ratio_of_sums(above_N, below_N, passages_N, seed=seed)
        .as_metrics(name)
        .items()
    }
