"""The corpus that mixes others by share of documents. Knows none of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby, islice
from math import lcm
from typing import Any

from interlingua.sources.source import Corpus, Record, Truth, corpus_of
from interlingua.specs.corpora import HubText, Mixture, TextFiles


class Mixed:
    """Documents of several corpora, each whole, in an order that shares alone decide."""

    truth: Truth | None = None

    def __init__(self, spec: Mixture) -> None:
        self._spec = spec
        self._corpora = [corpus_of(part.corpus) for part in spec.parts]

    def records(self) -> Iterator[Record]:
        """All texts up to `count` documents, or up to where the next one of a part is missing."""
        parts = self._spec.parts
        documents = [
            _documents(corpus, part.corpus)
            for part, corpus in zip(parts, self._corpora, strict=True)
        ]
        turns = islice(order_of([part.share for part in parts]), self._spec.count)
        for index in turns:
            document = next(documents[index], None)
            if document is None:
                return
            yield from (_tagged(record, parts[index].tag) for record in document)

    def shards(self) -> list[dict[str, Any]]:
        """The files that were read, each with the tag of its part."""
        return [
            {"part": part.tag, **shard}
            for part, corpus in zip(self._spec.parts, self._corpora, strict=True)
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


def _documents(corpus: Corpus, spec: TextFiles | HubText) -> Iterator[Iterable[Record]]:
    """The records of each document; those of one must be taken before the next."""
    if spec.document_field is None:
        # No row more than asked for: the next may be in a file that is not fetched yet.
        return ((record,) for record in corpus.records())
    return (records for _, records in groupby(corpus.records(), key=lambda one: one.document_id))


def _tagged(record: Record, tag: str) -> Record:
    named = record.document_id
    return replace(
        record,
        row_id=f"{tag}/{record.row_id}",
        document_id=None if named is None else f"{tag}/{named}",
    )
