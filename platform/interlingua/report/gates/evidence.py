"""What gates judge an evaluation by: its rows and numbers, and its texts beside earlier ones.

Judges nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from interlingua.core.statistics import Estimate
from interlingua.report.numbers import Numbers
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.scored import Scored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Input of all gates: the rows, their numbers, and the rows of the start if there is one.

    `num_asked` and `num_dropped` count activations over all hosts, `num_checked` the artifacts
    upstream, none of which had seen an evaluated passage, `num_unknown` the pairs upstream of which
    nobody knows what they learned from. `decoder_gain` is what the decoder has more than one fitted
    on the AV's own texts, in FVE, on the same rows.
    """

    rows: Scored
    numbers: Numbers
    start: Scored | None
    num_asked: int
    num_dropped: int
    num_checked: int
    num_unknown: int = 0
    decoder_gain: Estimate | None = None


Finding = tuple[bool, float, float, str]  # is passed, value, bound, words


def unknown(what: str, bound: float) -> Finding:
    """A finding that has not passed: there was nothing to judge by."""
    return False, bound, bound, f"no host has {what}: nothing to judge by"


def texts_and_before(rows: Scored, start: Scored | None) -> Iterator[tuple[str, Scored, Scored]]:
    """Per host the first T=1 texts, and those of the start or else the teacher's."""
    for host in rows.hosts():
        # One text an activation on both sides: the share of distinct texts falls with their number.
        mine = _first(rows.of(host, Predictor.SAMPLED))
        if start is not None:
            before = _first(start.of(host, Predictor.SAMPLED))
        else:
            before = rows.of(host, Predictor.TEACHER)
        if len(mine) and len(before):
            yield host, mine, before


def distinct_share(rows: Scored) -> float:
    """Number of distinct texts over the number of rows, those without a text among them."""
    return num_distinct(rows) / len(rows)


def num_distinct(rows: Scored) -> int:
    """Number of distinct texts that could be read."""
    return len({text for text in rows["explanation"].tolist() if text is not None})


def never_named(rows: Scored) -> list[str]:
    """The kinds of facts that hold of some row, and that no text names, right or wrong."""
    kinds = {
        column: {fact.partition("=")[0] for facts in rows[column].tolist() for fact in facts or ()}
        for column in ("true", "said")
    }
    return sorted(kinds["true"] - kinds["said"])


def worded_share(rows: Scored) -> float | None:
    """Share of clauses in known wordings; None where no wordings are known."""
    # Null, read as -1: the texts were not compared with known wordings.
    if (rows["num_clauses"] < 0).any():
        return None
    return float(rows["num_worded"].sum() / max(1, rows["num_clauses"].sum()))


def distinct_words_share(rows: Scored) -> float:
    """Distinct words of a text over its words, both summed over all texts."""
    words = [text.casefold().split() for text in rows["explanation"].tolist() if text]
    return sum(len(set(own)) for own in words) / max(1, sum(map(len, words)))


def _first(rows: Scored) -> Scored:
    return rows.where(rows["sample"] == 0)
