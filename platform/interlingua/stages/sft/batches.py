"""Rows to train on: activations of several hosts joined with explanations by key, drawn by step.

What batch a step sees is a function of seed and step alone. Knows no model.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from interlingua.store.rows.shards import Key

Encode = Callable[[str], list[int]]


class Texts:
    """The explanations of many activations as token ids, without those that cannot be used."""

    def __init__(self, texts: Mapping[Key, Sequence[str]], encode: Encode, max_tokens: int) -> None:
        self.counts: Counter[str] = Counter()
        self._ids: dict[Key, list[np.ndarray]] = {}
        for key, samples in texts.items():
            usable = [ids for text in samples if (ids := self._usable(text, encode, max_tokens))]
            if usable:
                # Arrays, because lists of Python ints take several times the memory.
                self._ids[key] = [np.array(ids, np.int32) for ids in usable]

    def __contains__(self, key: Key) -> bool:
        return key in self._ids

    def num_samples(self, key: Key) -> int:
        """The number of usable texts of a key, which may be none."""
        return len(self._ids.get(key, ()))

    def ids_of(self, key: Key, sample: int) -> list[int]:
        """The ids of a sample, modulo the number of samples: epoch e of a key shows sample e."""
        samples = self._ids[key]
        ids: list[int] = samples[sample % len(samples)].tolist()
        return ids

    def _usable(self, text: str, encode: Encode, max_tokens: int) -> list[int]:
        self.counts["num_explanations"] += 1
        if not text.strip():
            self.counts["num_empty"] += 1
            return []
        ids = encode(text)
        # Dropped, not cut: from its end the AV learns to stop, and there the AR is read.
        if len(ids) > max_tokens:
            self.counts["num_too_long"] += 1
            return []
        return ids


class Draws:
    """Keys in keyed permutations without end: draw n is the same whoever asks, in any order."""

    def __init__(self, keys: Sequence[Key], *, seed: int, name: str) -> None:
        if not keys:
            raise ValueError(f"{name}: no activation has a finite row and a usable explanation")
        self._keys, self._seed = keys, seed
        # Not `hash`, which differs from process to process: ranks would draw unlike rows.
        self._salt = zlib.crc32(name.encode())
        # A batch may reach over the end of an epoch: more than one permutation is in use.
        self._permutation = lru_cache(maxsize=4)(self._permuted)

    def draw(self, start: int, count: int) -> list[tuple[Key, int]]:
        """Draws start..start+count-1, each a key and its epoch: how often it has come before."""
        found = []
        for place in range(start, start + count):
            epoch, index = divmod(place, len(self._keys))
            found.append((self._keys[self._permutation(epoch)[index]], epoch))
        return found

    def _permuted(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, self._salt, epoch]).permutation(len(self._keys))


def of_like_length(lengths: Sequence[int], most_rows: int) -> list[list[int]]:
    """Groups of up to `most_rows` rows of like length, by place; the shortest first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + most_rows] for start in range(0, len(order), most_rows)]
