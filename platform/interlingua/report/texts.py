"""What an AV's texts are like beside those it began with, from recorded rows. Judges nothing."""

from collections.abc import Iterator

from interlingua.specs.evaluation import Arm
from interlingua.store.rows.scored import Scored


def texts_and_before(rows: Scored, start: Scored | None) -> Iterator[tuple[str, Scored, Scored]]:
    """Per host the first T=1 texts, and those of the start or else the teacher's."""
    for host in rows.hosts():
        mine = _first(rows.of(host, Arm.SAMPLED))
        if start is not None:
            before = _first(start.of(host, Arm.SAMPLED))
        else:
            before = rows.of(host, Arm.GOLD)
        if len(mine) and len(before):
            yield host, mine, before


def distinct_share(rows: Scored) -> float:
    """How many of the texts are different ones."""
    texts = [text for text in rows["explanation"].tolist() if text is not None]
    return len(set(texts)) / len(rows)


def worded_share(rows: Scored) -> float | None:
    """The share of clauses in known wordings; None where nobody could tell."""
    if (rows["num_clauses"] < 0).any():
        return None
    return float(rows["num_worded"].sum() / max(1, rows["num_clauses"].sum()))


def distinct_words_share(rows: Scored) -> float:
    """How many words of a text are different ones, over all texts."""
    words = [text.casefold().split() for text in rows["explanation"].tolist() if text]
    return sum(len(set(own)) for own in words) / max(1, sum(map(len, words)))


def _first(rows: Scored) -> Scored:
    return rows.where(rows["sample"] == 0)
