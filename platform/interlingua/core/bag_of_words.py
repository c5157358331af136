"""Texts as counts of their words, or of words and pairs. Knows no language and no vector."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, pairwise

import numpy as np

_WORD = re.compile(r"\w+")


class BagOfWords:
    """A vocabulary of the (`most` frequent) words of some texts; other words are not counted.

    With `count_pairs` two words that stand side by side are a word, too: the least that sees order.
    """

    def __init__(
        self, texts: Iterable[str], most: int | None = None, *, count_pairs: bool = False
    ) -> None:
        self._count_pairs = count_pairs
        times = Counter(chain.from_iterable(map(self._words, texts)))
        # Ties go by the alphabet: the order of the texts must not choose or order the columns.
        kept = sorted(times, key=lambda word: (-times[word], word))[:most]
        self._place = {word: place for place, word in enumerate(sorted(kept))}

    @property
    def num_words(self) -> int:
        """The size of the vocabulary."""
        return len(self._place)

    def counts(self, texts: Sequence[str]) -> np.ndarray:
        """[N, W] in fp64: a row a text, a column a word of the vocabulary."""
        places = [
            [self._place[word] for word in self._words(text) if word in self._place]
            for text in texts
        ]
        counts_NW = np.zeros((len(texts), self.num_words))
        rows_X = np.repeat(np.arange(len(texts)), [len(own) for own in places])
        # add.at: with += a word that stands twice in a text would be counted once, in silence.
        np.add.at(counts_NW, (rows_X, np.array([*chain(*places)], dtype=int)), 1)
        return counts_NW

    def _words(self, text: str) -> Sequence[str]:
        words = _words_of(text)
        if not self._count_pairs:
            return words
        return [*words, *(f"{left} {right}" for left, right in pairwise(words))]


@lru_cache(maxsize=2**14)  # a text is divided for its vocabulary, and again to be counted
def _words_of(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))
