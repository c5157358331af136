"""Explanations of a few passages for the top of the page: before and after RL where there was any.

Chosen by a rule and not by hand: the first passages by id, which is a hash. Knows no HTML.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interlingua.report.tables.material import Material
from interlingua.report.tables.row_scores import row_fve
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.rows.scored import Scored, read_scored

NUM_EXAMPLES = 3
MOST_CHARACTERS = 420  # of a passage
PLAIN_TEXT, READ, TRUE, FALSE = "", "read", "good", "bad"

Piece = tuple[str, str]  # text, and how it is marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """An explanation in pieces: words for facts are marked by whether these hold."""

    title: str
    pieces: Sequence[Piece]
    wrong: Sequence[str]
    fve: float | None
    name: str  # of the score, as every number on the page has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A passage, what is true of it, and what was said of it."""

    passage: Sequence[Piece]
    true: Sequence[str]
    sayings: Sequence[Saying]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """The examples of one host, with the rule that chose them."""

    rule: str
    examples: Sequence[Example]
    knows_facts: bool


def examples_of(material: Material) -> Examples | None:
    """The first rows of the first trained host, or of the only host; None without texts."""
    roles = material.roles
    host = next((one for one, role in roles.items() if role == "trained"), next(iter(roles)))
    stages = dict(_stages(material, host))
    if not stages:
        return None
    after = next(iter(stages.values()))
    keys = sorted(_places(after))[:NUM_EXAMPLES]
    found = [_example(material, host, key, stages) for key in keys]
    when = "before and after RL, " if len(stages) > 1 else ""
    rule = (
        f"Sampled explanations (T=1, the first sample) of {host}, {when}of the first "
        f"{len(found)} rows by passage id, which is a hash: nobody chose them."
    )
    return Examples(rule=rule, examples=found, knows_facts=any(one.true for one in found))


def _stages(material: Material, host: str) -> Iterator[tuple[str, Scored]]:
    """Rows of first samples by when they were said; the last comes first."""
    start = start_of(material)
    after = _first_samples(material.rows, host)
    if len(after):
        yield ("after RL" if start else "sampled (T=1)"), after
        if start is not None:
            before = _first_samples(read_scored(start.path), host)
            if {*_places(before)} >= {*_places(after)}:
                yield "before RL", before


def start_of(material: Material) -> Artifact | None:
    """The evaluation that this one is compared with, where it is upstream."""
    of = {one.fingerprint for one in material.evaluation.record.inputs.values()}
    found = [one for one in material.of_kind("evaluation") if one.record.fingerprint in of]
    return found[0] if found else None


def _first_samples(rows: Scored, host: str) -> Scored:
    own = rows.of(host, Predictor.SAMPLED)
    return own.where(own["sample"] == 0)


def _places(rows: Scored) -> dict[tuple[str, int], int]:
    keys = zip(rows["passage_id"].tolist(), rows["position"].tolist(), strict=True)
    return {key: number for number, key in enumerate(keys)}


def _example(
    material: Material, host: str, key: tuple[str, int], stages: dict[str, Scored]
) -> Example:
    sayings = [
        _saying(host, title, rows, _places(rows)[key])
        for title, rows in reversed(list(stages.items()))
    ]
    rows = next(iter(stages.values()))
    number = _places(rows)[key]
    passage = material.passages[key[0]]
    place = int(rows["position"][number]), int(rows["span_end"][number])
    return Example(
        passage=passage_pieces(passage.text, *place),
        true=[fact.replace("=", " ") for fact in rows["true"][number] or ()],
        sayings=sayings,
    )


def _saying(host: str, title: str, rows: Scored, number: int) -> Saying:
    true, said = rows["true"][number], rows["said"][number] or ()
    text = rows["explanation"][number] or rows["text"][number] or ""
    # By its own score a row near the mean would count for more: one denominator for all of them.
    fve = float(row_fve(rows)[number])
    holds = {fact: true is not None and fact in true for fact in said}
    place = f"{rows['passage_id'][number]}:{rows['position'][number]}:0"
    when = "" if title == "before RL" else f"row_fve:{place}"
    return Saying(
        title=title,
        pieces=marked_pieces(text, holds),
        wrong=[fact.replace("=", " ") for fact, is_true in holds.items() if not is_true],
        fve=fve if np.isfinite(fve) else None,
        name=f"{host}|{Predictor.SAMPLED}|{when}|row" if when else "",
    )


def marked_pieces(text: str, holds: dict[str, bool]) -> list[Piece]:
    """The text in pieces, words for facts marked by whether these hold; whole words only."""
    by_word = {fact.partition("=")[2].lower(): is_true for fact, is_true in holds.items()}
    words = sorted(filter(None, by_word), key=len, reverse=True)
    if not words:
        return [(text, PLAIN_TEXT)]
    pattern = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
    pieces = pattern.split(text)
    return [
        (piece, (TRUE if by_word[piece.lower()] else FALSE) if number % 2 else PLAIN_TEXT)
        for number, piece in enumerate(pieces)
        if piece
    ]


def passage_pieces(text: str, start: int, end: int) -> list[Piece]:
    """The passage, what was read of it marked, cut where it is long."""
    if end < 0:
        is_long = len(text) > MOST_CHARACTERS
        return [(text[:MOST_CHARACTERS].rstrip() + " ..." if is_long else text, PLAIN_TEXT)]
    room = max(0, MOST_CHARACTERS - (end - start)) // 2
    first, last = max(0, start - room), min(len(text), end + room)
    before = ("... " if first else "") + text[first:start]
    after = text[end:last] + (" ..." if last < len(text) else "")
    return [
        one
        for one in ((before, PLAIN_TEXT), (text[start:end], READ), (after, PLAIN_TEXT))
        if one[0]
    ]
