"""Which tokens of a text the rows are made of, as a reading asks. Knows no model and no vector."""

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from interlingua.core.spans import Span, sentences, tokens_of
from interlingua.specs.extraction import LastToken, Pooled, Reading, Spans, TokenPositions
from interlingua.store.rows.shards import POOLED_POSITION

Candidate = TypeVar("Candidate", int, Span)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as a host reads it: its ids, and for spans the characters of every token."""

    ids: list[int]
    offsets: list[Span] | None = None
    is_cut: bool = False  # it is longer, and a host reads no more of it


@dataclass(frozen=True, slots=True)
class Site:
    """One row: the position in its key, and the tokens whose mean it is."""

    position: int
    tokens: list[int]


def sites_of(
    read: Reading, draws_by: str, text: str, encoded: Encoded, special_ids: Collection[int]
) -> list[Site]:
    """The rows of one text; none where it has no token to read.

    `draws_by` keys what is drawn: the id of the passage, or the name of its document.
    """
    match read:
        case Pooled():
            # The first token is an attention sink: its huge constant vector would fill the mean.
            tokens = list(range(0 if read.include_first else 1, len(encoded.ids)))
            return [Site(POOLED_POSITION, tokens)] if tokens else []
        case LastToken():
            # The last token that is read of a cut text is any token of it.
            is_there = encoded.ids and not encoded.is_cut
            return [Site(POOLED_POSITION, [len(encoded.ids) - 1])] if is_there else []
        case TokenPositions():
            candidates = [
                position
                for position in range(read.min_position, len(encoded.ids))
                if encoded.ids[position] not in special_ids
            ]
            chosen = _drawn(read.seed, draws_by, candidates, read.per_passage)
            return [Site(position, [position]) for position in chosen]
        case Spans():
            return _span_sites(read, draws_by, text, encoded)


def drawn_by(
    read: Reading, passage_ids: Sequence[str], documents: Sequence[str] | None
) -> Sequence[str]:
    """What keys the draws of every text: the id of its passage, or the name of its document."""
    if not (isinstance(read, TokenPositions) and read.keyed_by == "document"):
        return passage_ids
    if documents is None:
        raise ValueError(
            "TokenPositions.keyed_by is document, and no document of these texts is given; name "
            "them, or set keyed_by=passage"
        )
    return documents


def chosen_spans(read: Spans, passage_id: str, text: str) -> list[Span]:
    """The sentences that are read of a text, whoever reads them: no tokenizer has a say."""
    candidates = sentences(text)[read.min_sentence :]
    return _drawn(read.seed, passage_id, candidates, read.per_passage)


def _span_sites(read: Spans, passage_id: str, text: str, encoded: Encoded) -> list[Site]:
    assert encoded.offsets is not None
    # What a host cuts off is gone for it alone: half a sentence would be another row.
    last = max((end for _, end in encoded.offsets), default=0)
    return [
        Site(span[0], tokens)
        for span in chosen_spans(read, passage_id, text)
        if span[1] <= last and (tokens := tokens_of(span, encoded.offsets))
    ]


def _drawn(
    seed: int, draws_by: str, candidates: Sequence[Candidate], count: int
) -> list[Candidate]:
    # Keyed by the text: neither its batch nor a worker's order changes what is drawn. Which are
    # drawn is the public release's rule, where the key is the document's name.
    key = hashlib.sha256(f"{seed}|{draws_by}".encode()).digest()
    return sorted(random.Random(key).sample(candidates, min(count, len(candidates))))
