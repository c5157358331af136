"""Signatures of texts whose equal share estimates how many word shingles two texts share (MinHash).

Knows no passage and no split. N texts, H minima of a signature.
"""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interlingua.core.keyed import keyed_random
from interlingua.core.spans import UNSPACED

# H: at a share of a half an estimate is off by 0.044, one standard deviation.
NUM_MINIMA = 128
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
# Odd constants with well-mixed bits, of 64 and of 32.
_MIX_64, _MIX_32 = np.uint64(0x9E3779B97F4A7C15), np.uint32(0x9E3779B1)


class MinHash:
    """Signatures of 128 minima of 16 bits, a function of the words, their number and a seed."""

    def __init__(self, shingle_words: int, seed: int) -> None:
        self._shingle_words = shingle_words
        random = keyed_random("minhash", seed)
        # An odd factor makes the map a permutation of the 32-bit numbers.
        self._maps = [
            (np.uint32(random.getrandbits(32) | 1), np.uint32(random.getrandbits(32)))
            for _ in range(NUM_MINIMA)
        ]

    def signatures(self, texts: Sequence[str]) -> NDArray[np.uint16]:
        """[N, H]: of every text, the least of its shingles in each of H orders.

        Case and punctuation do not count; a text of fewer words is one shingle.
        """
        if not texts:
            return np.zeros((0, NUM_MINIMA), np.uint16)
        shingles, starts_N = self._shingles(texts)
        minima_HN = np.empty((NUM_MINIMA, len(texts)), np.uint32)
        mapped = np.empty_like(shingles)
        for row, (factor, offset) in enumerate(self._maps):
            np.multiply(shingles, factor, out=mapped)
            np.add(mapped, offset, out=mapped)
            np.minimum.reduceat(mapped, starts_N, out=minima_HN[row])
        # A minimum has small high bits and few different low ones: mixed, then the high 16.
        return np.ascontiguousarray((minima_HN * _MIX_32 >> np.uint32(16)).T.astype(np.uint16))

    def _shingles(self, texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Every text's shingles one behind the other, and the place where each text's begin."""
        hashes: list[int] = []
        num_words = []
        for text in texts:
            words = _WORD.findall(text.lower())
            words += [""] * (self._shingle_words - len(words))
            hashes += [zlib.crc32(word.encode()) for word in words]
            num_words.append(len(words))
        words_M = np.array(hashes, np.uint64)
        num_starts = len(words_M) - self._shingle_words + 1
        mixed_M = np.zeros(num_starts, np.uint64)
        for place in range(self._shingle_words):  # in order: the same words in another are another
            mixed_M = (mixed_M + words_M[place : place + num_starts]) * _MIX_64
            mixed_M ^= mixed_M >> np.uint64(29)
        num_words_N = np.array(num_words)
        num_shingles_N = num_words_N - self._shingle_words + 1
        begins_N = np.cumsum(num_words_N) - num_words_N
        place_in_text = np.arange(len(words_M)) - np.repeat(begins_N, num_words_N)
        # A shingle that reaches into the next text is of neither.
        is_whole = place_in_text < np.repeat(num_shingles_N, num_words_N)
        shingles = (mixed_M[is_whole[:num_starts]] >> np.uint64(32)).astype(np.uint32)
        return shingles, np.cumsum(num_shingles_N) - num_shingles_N
