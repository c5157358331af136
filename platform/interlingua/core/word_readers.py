"""Readers of texts that know no language: vectors from the words that occur, fitted on rows.

What an AR must beat, on the same texts: a ridge and a small network from the counts of words, and
a ridge from the counts of words and of neighbouring pairs. N rows, D the width of a vector.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.linear import fit_blocks
from interlingua.core.moments import Block, row_blocks
from interlingua.core.small_mlp import fitted_mlp
from interlingua.specs.maps import RidgeSpec

Read = Callable[[Sequence[str]], np.ndarray]
Targets = Callable[[slice], np.ndarray]  # [N, D] of a block of rows

RIDGE, NETWORK, PAIRS = "bag_of_words", "word_network", "word_pairs"
READERS = (RIDGE, NETWORK, PAIRS)
MAX_NETWORK_ROWS = 20_000  # which are held in memory at once, unlike those of a ridge


def fit_word_readers(
    texts: Sequence[str],
    targets: Targets,
    folds_N: np.ndarray,
    ridge: RidgeSpec,
    *,
    most: int,
    seed: int,
) -> dict[str, Read]:
    """Every reader by name, fitted on these texts and vectors; `most` words or pairs are counted.

    The folds choose the strength of a ridge; the first of them stops the network's training.
    """
    words = BagOfWords(texts, most=most)
    pairs = BagOfWords(texts, most=most, count_pairs=True)
    if not words.num_words:  # not one text has a word: what is left is the mean
        parts = [targets(part) for part in row_blocks(len(texts))]
        mean_D = np.concatenate(parts).mean(axis=0)
        return dict.fromkeys(READERS, lambda new: np.tile(mean_D, (len(new), 1)))

    def blocks(bag: BagOfWords) -> Iterator[Block]:
        for part in row_blocks(len(texts)):
            yield bag.counts(texts[part]), targets(part), folds_N[part]

    by_words, by_pairs = fit_blocks(blocks(words), ridge), fit_blocks(blocks(pairs), ridge)
    rest = _network(texts[:MAX_NETWORK_ROWS], targets, folds_N, words, by_words, seed)
    return {
        RIDGE: lambda new: by_words(words.counts(new)),
        NETWORK: lambda new: by_words(words.counts(new)) + rest(words.counts(new)),
        PAIRS: lambda new: by_pairs(pairs.counts(new)),
    }


def _network(
    texts: Sequence[str],
    targets: Targets,
    folds_N: np.ndarray,
    words: BagOfWords,
    by_words: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> Callable[[np.ndarray], np.ndarray]:
    """A network for what the ridge leaves over; zero where nothing is gained on held-out rows."""
    counts_NW = words.counts(texts)
    target_ND = np.concatenate([targets(part) for part in row_blocks(len(texts))])[: len(texts)]
    rest_ND = target_ND - by_words(counts_NW)
    # At the scale of 1, whatever the unit of the vectors: the network's step is of that size.
    scale = max(float(rest_ND.std()), np.finfo(float).tiny)
    is_held_N = folds_N[: len(texts)] == folds_N.min()
    found = fitted_mlp(counts_NW, rest_ND / scale, is_held_N, seed=seed)
    return lambda new_NW: scale * found(new_NW)
