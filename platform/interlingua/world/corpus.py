"""The texts of a world as a corpus: each with its facts and mentions, a document of its own."""

from collections.abc import Iterator
from typing import Any

from interlingua.sources.source import Corpus, Record, Truth
from interlingua.specs.world import WorldCorpus
from interlingua.world.text import tellings
from interlingua.world.truth import WorldTruth


def opened(spec: WorldCorpus) -> Corpus:
    """The first passages of a world."""
    return _Tellings(spec)


class _Tellings:
    truth: Truth | None = WorldTruth()

    def __init__(self, spec: WorldCorpus) -> None:
        self._spec = spec

    def records(self) -> Iterator[Record]:
        """Every passage of the world; one that comes twice comes twice."""
        for number, telling in enumerate(tellings(self._spec.world, 0, self._spec.num_passages)):
            yield Record(
                row_id=str(number),
                text=telling.text,
                where=f"passage {number} of the world",
                facts=telling.as_strings(),
                mentions=telling.mentions,
            )

    def shards(self) -> list[dict[str, Any]]:
        """None: texts are made, not read."""
        return []
