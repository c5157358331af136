"""Texts as counts of their words, or of words and pairs. Knows no language and no vector."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

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
        times = Counter(word for text in texts for word in self._words(text))
        # Ties go by the alphabet: the order of the texts must not choose or order the columns.
        kept = sorted(times, key=lambda word: (-times[word], word))[:most]
        self._place = {word: place for place, word in enumerate(sorted(kept))}

    @property
    def num_words(self) -> int:
        """The size of the vocabulary."""
        return len(self._place)

    def counts(self, texts: Sequence[str]) -> np.ndarray:
        """[N, W] in fp64: a row a text, a column a word of the vocabulary."""
        counts_NW = np.zeros((len(texts), self.num_words))
        for row, text in enumerate(texts):
            for word in self._words(text):
                if word in self._place:
                    counts_NW[row, self._place[word]] += 1
        return counts_NW

    def _words(self, text: str) -> list[str]:
        words = _WORD.findall(text.casefold())
        if not self._count_pairs:
            return words
        return [*words, *(f"{left} {right}" for left, right in pairwise(words))]
