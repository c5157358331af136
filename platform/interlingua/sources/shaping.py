"""From records of a corpus to passages: rendered, cut, chosen, each text once. Holds no text.

Near-duplicates, which need all passages twice, are left out by `duplicates.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from interlingua.core.spans import Span, num_words, sentences, words
from interlingua.sources.chat import check_arguments, text_of
from interlingua.sources.languages import language_of
from interlingua.sources.seen import SeenIds
from interlingua.sources.source import Record
from interlingua.specs.corpora import PassagesSpec, Pieces
from interlingua.specs.splits import Split
from interlingua.store.rows.passages import Mention, Passage
from interlingua.store.rows.splits import passage_id, splitter


def shaped(
    records: Iterable[Record], spec: PassagesSpec, counts: Counter[str]
) -> Iterator[Passage]:
    """The passages of the records, in their order; whatever is left out is counted by reason."""
    # No generator itself: a template that lacks an argument is refused here, not at the first row.
    if spec.chat is not None:
        check_arguments(spec.chat)
    return _passages(records, spec, counts)


def _passages(
    records: Iterable[Record], spec: PassagesSpec, counts: Counter[str]
) -> Iterator[Passage]:
    seen, cut, split_of = SeenIds(), _Cut(spec.pieces), splitter(spec.split)
    for record in records:
        counts["num_records"] += 1
        whole = text_of(record, spec.chat)
        # Of the whole text: pieces of one document share a split.
        document_id = passage_id(whole) if record.document_id is None else record.document_id
        split = split_of(document_id)
        for number, span in enumerate(cut.spans(whole, document_id, counts)):
            text = whole[slice(*span)]
            identity = passage_id(text)
            reason = _reason_against(text, spec)
            if reason is None and not seen.is_new(int(identity, 16)):
                reason = "num_repeated"
            if reason is not None:
                counts[reason] += 1
                continue
            counts["num_passages"] += 1
            yield Passage(
                passage_id=identity,
                document_id=document_id,
                split=split,
                text=text,
                facts=record.facts,
                mentions=_within(record.mentions, span),
                row_id=f"{record.row_id}#{number}" if number else record.row_id,
            )


def check_splits(spec: PassagesSpec, by_split: Mapping[Split, int]) -> None:
    """Raise where a split that is to have a share has nothing."""
    for split, share in spec.split.shares().items():
        if share and not by_split.get(split):
            raise ValueError(
                f"split {split} came out empty: passages.split.{split} is {share:g} of "
                f"{sum(by_split.values())} passages. Bring more documents, or a larger share"
            )


def pieces_of(text: str, most_words: int) -> Iterator[Span]:
    """Spans of whole sentences, as many as fit into `most_words`; a longer one is cut at words."""
    piece: list[Span] = []
    for sentence in sentences(text):
        of_sentence = words(text, sentence)
        for first in range(0, len(of_sentence), most_words):
            part = of_sentence[first : first + most_words]
            if len(piece) + len(part) > most_words:
                yield piece[0][0], piece[-1][1]
                piece = []
            piece += part
    if piece:
        yield piece[0][0], piece[-1][1]


class _Cut:
    """Cuts the texts of one document after the other."""

    def __init__(self, pieces: Pieces | None) -> None:
        self._pieces = pieces
        self._document_id, self._num_pieces = "", 0

    def spans(self, text: str, document_id: str, counts: Counter[str]) -> list[Span]:
        """The pieces of a text that its document may have; the others are counted."""
        whole = [(0, len(text))]
        if self._pieces is None:
            return whole
        if document_id != self._document_id:
            self._document_id, self._num_pieces = document_id, 0
        # A text without a word has no piece: it is left out as a whole, and counted.
        spans = list(pieces_of(text, self._pieces.most_words)) or whole
        if self._pieces.per_document is None:
            return spans
        allowed = spans[: self._pieces.per_document - self._num_pieces]
        self._num_pieces += len(allowed)
        counts["num_beyond_per_document"] += len(spans) - len(allowed)
        return allowed


def _reason_against(text: str, spec: PassagesSpec) -> str | None:
    """The count of those that are left out for the same reason; None: it is a passage."""
    count = num_words(text)
    if count < spec.least_words:
        return "num_too_short"
    if spec.most_words is not None and count > spec.most_words:
        return "num_too_long"
    if spec.most_characters is not None and len(text) > spec.most_characters:
        return "num_too_long"
    if not spec.languages:
        return None
    language = language_of(text)
    if language is None:
        return "num_unknown_language"
    return None if language in spec.languages else "num_other_language"


def _within(mentions: Iterable[Mention], span: Span) -> tuple[Mention, ...]:
    start, end = span
    return tuple(
        replace(one, start=one.start - start, end=one.end - start)
        for one in mentions
        if start <= one.start and one.end <= end
    )
