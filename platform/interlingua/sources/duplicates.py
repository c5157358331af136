"""Near-duplicates across splits left out: of two such passages the one in the later split stays.

Later in the order of Split, so that `test` loses nothing, then `dev`, and training gives way: what
is evaluated stays the sample of the corpus that it was. A passage goes where any passage of a later
split is its like, whichever others go; so neither order nor batches change which stay.

Passages are read twice and none is held: a signature of 256 bytes lies in a temporary file, and
memory has 12 bytes of each passage, and some 80 more while bands are compared.
"""

import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from interlingua.sources.minhash import NUM_MINIMA, MinHash
from interlingua.specs.corpora import NearDuplicates
from interlingua.specs.splits import Split
from interlingua.store.rows.passages import Passage

BATCH_PASSAGES = 1024
# Minima of a band, by the integer that holds them; two texts are compared where a band is equal.
_BANDS = ((4, np.uint64), (2, np.uint32), (1, np.uint16))
LEAST_FOUND = 0.85  # of the pairs that share just so much
MOST_COMPARED = 64  # of one band: where thousands share a phrase, each is compared with so many
CHUNK_PAIRS = 16384
SPLITS = tuple(reversed(Split))  # those that stay first


def without_near_duplicates(
    passages: Callable[[], Iterator[Passage]], spec: NearDuplicates, counts: Counter[str]
) -> Iterator[Passage]:
    """The passages without those that share more than `most_shared` with one of a later split.

    The share is estimated from signatures. Counted are those left out, by split and whose like
    they were, and those that were compared with some of their candidates only.
    """
    ids, is_out_N = _left_out(passages, spec, counts)
    number = -1
    for number, passage in enumerate(passages()):
        if number >= len(ids) or ids[number] != int(passage.passage_id, 16):
            raise RuntimeError(
                f"passage {number} is {passage.passage_id}, and was another when near-duplicates "
                "were looked for; leave the corpus as it is while it is read"
            )
        if not is_out_N[number]:
            yield passage
    if number + 1 != len(ids):
        raise RuntimeError(
            f"{number + 1} passages came where near-duplicates were looked for among {len(ids)}; "
            "leave the corpus as it is while it is read"
        )


def _left_out(
    passages: Callable[[], Iterator[Passage]], spec: NearDuplicates, counts: Counter[str]
) -> tuple["array[int]", NDArray[np.bool_]]:
    """The ids of all passages in their order, and which of them are left out."""
    ids, ranks = array("Q"), bytearray()
    hashing, rank_of = MinHash(spec.shingle_words, spec.seed), {s: r for r, s in enumerate(SPLITS)}
    with tempfile.TemporaryFile() as file:
        source = passages()
        while batch := list(islice(source, BATCH_PASSAGES)):
            ids.extend(int(passage.passage_id, 16) for passage in batch)
            ranks.extend(rank_of[passage.split] for passage in batch)
            file.write(hashing.signatures([passage.text for passage in batch]).tobytes())
        file.flush()
        if not ids:
            return ids, np.zeros(0, np.bool_)
        signatures_NH = np.memmap(file, np.uint16, "r", shape=(len(ids), NUM_MINIMA))
        search = _Search(signatures_NH, np.frombuffer(ranks, np.uint8), spec.most_shared)
        # By split and id: which of many candidates are compared depends on no order of files.
        search.over(np.lexsort((np.frombuffer(ids, np.uint64), search.ranks_N)))
        counts.update(search.counts())
        return ids, search.is_out_N


class _Search:
    """The passages that are left out, found band by band."""

    def __init__(
        self, signatures_NH: NDArray[np.uint16], ranks_N: NDArray[np.uint8], most_shared: float
    ) -> None:
        self._signatures_NH, self.ranks_N = signatures_NH, ranks_N
        self._most_shared = most_shared
        self.is_out_N = np.zeros(len(ranks_N), np.bool_)
        self._is_partial_N = np.zeros(len(ranks_N), np.bool_)
        self._rank_of_like_N = np.zeros(len(ranks_N), np.uint8)

    def over(self, by_rank_N: NDArray[np.int64]) -> None:
        """Compare what is equal in a band; `by_rank_N` are the passages, those that stay first."""
        width, kind = band_of(self._most_shared)
        for first in range(0, NUM_MINIMA, width):
            minima = np.ascontiguousarray(self._signatures_NH[:, first : first + width])
            keys_N = minima.view(kind)[:, 0][by_rank_N]
            # Stable: those of one key stay by rank.
            order_N = np.argsort(keys_N, kind="stable")
            self._compare_runs(keys_N[order_N], by_rank_N[order_N])

    def counts(self) -> Counter[str]:
        """How many are left out, by their split and that of their like; how many may be."""
        outs, likes = self.ranks_N[self.is_out_N], self._rank_of_like_N[self.is_out_N]
        pairs = Counter(zip(outs.tolist(), likes.tolist(), strict=True))
        named = {
            f"num_near_duplicates_{SPLITS[out]}_of_{SPLITS[like]}": count
            for (out, like), count in sorted(pairs.items())
        }
        num_partial = int((self._is_partial_N & ~self.is_out_N).sum())
        return Counter({**named, "num_partly_compared": num_partial})

    def _compare_runs(self, keys_N: NDArray[np.integer], rows_N: NDArray[np.int64]) -> None:
        """Compare every row with those of its key that are of later splits, 64 at most."""
        ranks_N = self.ranks_N[rows_N]
        is_new_key = np.append(True, keys_N[1:] != keys_N[:-1])
        is_new_rank = is_new_key | np.append(True, ranks_N[1:] != ranks_N[:-1])
        begin_N, begin_of_rank_N = _last_true(is_new_key), _last_true(is_new_rank)
        num_later_N = begin_of_rank_N - begin_N  # those of its key that stand before its split
        places = np.flatnonzero(num_later_N)
        for depth in range(MOST_COMPARED):
            is_due = (num_later_N[places] > depth) & ~self.is_out_N[rows_N[places]]
            places = places[is_due]
            if not len(places):
                return
            self._compare(rows_N[places], rows_N[begin_N[places] + depth])
        self._is_partial_N[rows_N[places[num_later_N[places] > MOST_COMPARED]]] = True

    def _compare(self, rows_P: NDArray[np.int64], likes_P: NDArray[np.int64]) -> None:
        for start in range(0, len(rows_P), CHUNK_PAIRS):
            rows, likes = rows_P[start : start + CHUNK_PAIRS], likes_P[start : start + CHUNK_PAIRS]
            is_equal = self._signatures_NH[rows] == self._signatures_NH[likes]
            is_like = is_equal.mean(axis=1) > self._most_shared
            self.is_out_N[rows[is_like]] = True
            self._rank_of_like_N[rows[is_like]] = self.ranks_N[likes[is_like]]


def band_of(most_shared: float) -> tuple[int, type[np.unsignedinteger]]:
    """How many minima a band has, and the type that holds them.

    The more, the fewer texts are compared in vain: as many as still find those that share as much.
    """
    for width, kind in _BANDS:
        found = 1 - (1 - most_shared**width) ** (NUM_MINIMA // width)
        if found >= LEAST_FOUND:
            return width, kind
    return _BANDS[-1]


def _last_true(is_true_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of every place, the last place up to it at which it is true; the first is."""
    return np.maximum.accumulate(np.where(is_true_N, np.arange(len(is_true_N)), 0))
