"""The corpus that mixes others by share of documents. Knows none of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import count, groupby
from math import lcm
from typing import Any

from interlingua.sources.source import Corpus, Record, Truth, corpus_of
from interlingua.specs.corpora import Mixture

Documents = Iterator[Iterator[Record]]


class Mixed:
    """Documents of several corpora, each whole, in an order that shares alone decide."""

    truth: Truth | None = None

    def __init__(self, spec: Mixture) -> None:
        self._spec = spec
        self._corpora: dict[str, Corpus] = {part.tag: corpus_of(part.corpus) for part in spec.parts}

    def records(self) -> Iterator[Record]:
        """All texts up to `count` documents, or up to where the next one of a part is missing."""
        parts = [(tag, _documents(corpus)) for tag, corpus in self._corpora.items()]
        order = order_of([part.share for part in self._spec.parts])
        for number, index in enumerate(order):
            if number == self._spec.count:
                return
            tag, documents = parts[index]
            document = next(documents, None)
            if document is None:
                return
            yield from (_tagged(record, tag) for record in document)

    def shards(self) -> list[dict[str, Any]]:
        """The files that were read, each with the tag of its part."""
        return [
            {"part": tag, **shard}
            for tag, corpus in self._corpora.items()
            for shard in corpus.shards()
        ]


def opened(spec: Mixture) -> Mixed:
    """The corpus of a spec, its parts opened."""
    return Mixed(spec)


def order_of(shares: Sequence[float]) -> Iterator[int]:
    """Whose turn it is, without end: of the part that is furthest behind its share, then the first.

    Never is a part a whole document ahead of its share.
    """
    # In whole numbers of the shares as they are written: sums of floats would break ties by chance.
    exact = [Fraction(repr(share)) for share in shares]
    unit = lcm(*(share.denominator for share in exact))
    weights = [int(share * unit) for share in exact]
    behind = [0] * len(weights)
    while True:
        behind = [lag + weight for lag, weight in zip(behind, weights, strict=True)]
        turn = behind.index(max(behind))
        behind[turn] -= sum(weights)
        yield turn


def _documents(corpus: Corpus) -> Documents:
    """The records of each document; those of one must be taken before the next."""
    numbers = count()

    def document(record: Record) -> str | int:
        # A text without a document is one of its own: no number comes twice.
        return next(numbers) if record.document_id is None else record.document_id

    return (records for _, records in groupby(corpus.records(), key=document))


def _tagged(record: Record, tag: str) -> Record:
    named = record.document_id
    return replace(
        record,
        row_id=f"{tag}/{record.row_id}",
        document_id=None if named is None else f"{tag}/{named}",
    )
