"""Measures of collapse: texts that no longer differ between activations, which no FVE shows.

Of texts alone, and to be read beside another predictor (the start of a training, shuffled vectors):
no value is good or bad by itself. Knows no vector, no truth and no threshold. N rows, U units of
resampling (passages), W words of the vocabulary, B draws of a block.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.geometry import unit
from interlingua.core.resampling import Drawn, Draws, Ratio, difference

# name: (numerators, denominators). `num_tokens` is the caller's: the AV's own count.
COLLAPSE_COLUMNS = {
    "tag_failure_share": ("is_failed", "is_row"),
    "unique_share": ("uniqueness", "is_read"),
    "shared_ngram_share": ("shared_ngrams", "is_read"),
    "distinct_word_share": ("num_distinct_words", "num_words"),
    "mean_words": ("num_words", "is_read"),
    "mean_tokens": ("num_tokens", "is_row"),
}
NGRAM_WORDS = 4
BLOCK = 512  # rows whose word counts are dense at once


class TextScores(NamedTuple):
    """One number a row and column; where no text was read, all but `is_row`, `is_failed` are 0.

    `uniqueness`: 1 / number of equal texts, so that the mean is the share of distinct texts.
    `shared_ngrams`: the share of a text's n-grams that a text of another passage has too.
    """

    is_row: np.ndarray
    is_failed: np.ndarray
    is_read: np.ndarray
    uniqueness: np.ndarray
    shared_ngrams: np.ndarray
    num_words: np.ndarray
    num_distinct_words: np.ndarray


class Similarity(NamedTuple):
    """Mean cosines of bags of words: of one row's two texts, of different passages, and the gap.

    The gap is 0 for texts that do not depend on what they are about, collapsed or not.
    """

    own: Drawn
    other: Drawn
    gap: Drawn


def score_texts(texts: Sequence[str | None], passages_N: np.ndarray) -> TextScores:
    """Repetition in every text and between texts; None stands for a text without its tags."""
    # None is counted too: the division below has no zero, and is_read_N takes its share away.
    times = Counter(texts)
    is_read_N = np.array([text is not None for text in texts], dtype=float)
    words = [text.casefold().split() if text else [] for text in texts]
    return TextScores(
        is_row=np.ones(len(texts)),
        is_failed=1 - is_read_N,
        is_read=is_read_N,
        uniqueness=is_read_N / np.array([times[text] for text in texts]),
        shared_ngrams=_shared_ngrams(words, passages_N),
        num_words=np.array([len(own) for own in words], dtype=float),
        num_distinct_words=np.array([len(set(own)) for own in words], dtype=float),
    )


def collapse_drawn(
    columns: Mapping[str, np.ndarray], passages_N: np.ndarray, draws: Draws
) -> dict[str, Drawn]:
    """Every measure whose columns are there and have a denominator, in the draws of a table.

    Which texts are equal is counted once, over all rows: a passage that is drawn twice does not
    become a repetition of itself.
    """
    return draws.ratios(collapse_ratios(columns, passages_N))


def collapse_ratios(columns: Mapping[str, np.ndarray], passages_N: np.ndarray) -> dict[str, Ratio]:
    """The same before they are drawn."""
    return {
        name: Ratio(columns[above], columns[below], passages_N)
        for name, (above, below) in COLLAPSE_COLUMNS.items()
        if above in columns and below in columns and columns[below].any()
    }


def similarity(
    left: Sequence[str], right: Sequence[str], passages_N: np.ndarray, draws: Draws
) -> Similarity:
    """Cosines of two texts of a row beside those of different passages, in O(rows x words).

    `left` and `right` are two samples of each activation, or a sample under its own and one under a
    shuffled vector. The units of `draws` must be passages. `other` is taken over all pairs of every
    draw; copies of one passage are never paired.
    """
    words = BagOfWords([*left, *right])
    places_N = draws.places(passages_N)
    left_UW, right_UW = (np.zeros((len(draws.units_U), words.num_words)) for _ in "lr")
    cosines = []
    for part in _blocks(len(left)):
        left_BW, right_BW = (unit(words.counts(texts[part])) for texts in (left, right))
        cosines.append(np.einsum("bw,bw->b", left_BW, right_BW))
        # add.at: with += a unit that stands twice in a block would be added once, in silence.
        np.add.at(left_UW, places_N[part], left_BW)
        np.add.at(right_UW, places_N[part], right_BW)
    own = draws.ratio(Ratio(np.concatenate(cosines), np.ones(len(left)), passages_N))
    num_rows_U = np.bincount(places_N, minlength=len(draws.units_U))
    other = _similarity_across(left_UW, right_UW, num_rows_U, own)
    return Similarity(own=own, other=other, gap=difference(own, other))


def _similarity_across(
    left_UW: np.ndarray, right_UW: np.ndarray, num_rows_U: np.ndarray, like: Drawn
) -> Drawn:
    """The mean over all pairs of rows of different units: all pairs less those within a unit."""
    within_U = np.einsum("uw,uw->u", left_UW, right_UW)

    def mean(weights_BU: np.ndarray) -> np.ndarray:
        # (sum of directions) . (sum of directions) is the sum of cosines over all pairs of rows, so
        # that no pair is formed. A unit drawn w times pairs with itself w^2 times: taken off again.
        all_B = np.einsum("bw,bw->b", weights_BU @ left_UW, weights_BU @ right_UW)
        pairs_B = (weights_BU @ num_rows_U) ** 2 - weights_BU**2 @ num_rows_U**2
        # A draw of one passage alone has no pair: NaN, which an interval leaves out.
        undefined_B = np.full(len(pairs_B), np.nan)
        own_B = weights_BU**2 @ within_U
        return np.divide(all_B - own_B, pairs_B, out=undefined_B, where=pairs_B > 0)

    (value,) = mean(np.ones((1, len(left_UW))))
    if np.isnan(value):
        raise ValueError("all rows are of one passage: nothing else to be like")
    return Drawn(
        value=float(value),
        draws_R=np.concatenate([mean(weights_BU) for weights_BU in like.table.blocks()]),
        num_units=like.num_units,
        table=like.table,
    )


def _blocks(num_rows: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, num_rows, BLOCK))


def _shared_ngrams(words: Sequence[Sequence[str]], passages_N: np.ndarray) -> np.ndarray:
    """The share of every text's distinct n-grams that occur in another passage, too."""
    text_X, ngram_X = _ngrams(words)
    _, passage_N = np.unique(passages_N, return_inverse=True)
    # An n-gram is shared in the first text that has it, too: where all its passages are not one.
    first_G = np.full(ngram_X.max(initial=-1) + 1, len(passage_N))
    last_G = np.full(len(first_G), -1)
    np.minimum.at(first_G, ngram_X, passage_N[text_X])
    np.maximum.at(last_G, ngram_X, passage_N[text_X])
    is_shared_X = (first_G != last_G)[ngram_X]
    num_shared_N = np.bincount(text_X, weights=is_shared_X, minlength=len(words))
    return num_shared_N / np.maximum(1, np.bincount(text_X, minlength=len(words)))


def _ngrams(words: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Texts and their distinct n-grams, both as numbers; a shorter text is its own n-gram."""
    place = {word: index for index, word in enumerate(dict.fromkeys(chain(*words)), 1)}
    # 0 stands behind the words of a text that is shorter than an n-gram.
    short = [0] * NGRAM_WORDS
    coded = [[*map(place.__getitem__, own), *short[len(own) :]] if own else [] for own in words]
    codes_T = np.array([*chain(*coded)], dtype=np.int64)
    sizes_N = np.array([len(own) for own in coded])
    nums_N = np.maximum(sizes_N - NGRAM_WORDS + 1, 0)
    text_X = np.repeat(np.arange(len(words)), nums_N)
    # Within a text the n-grams begin at its words one after the other.
    within_X = np.arange(len(text_X)) - np.repeat(np.cumsum(nums_N) - nums_N, nums_N)
    starts_X = np.repeat(np.cumsum(sizes_N) - sizes_N, nums_N) + within_X
    ngram_X = np.zeros(len(text_X), dtype=np.int64)
    for shift in range(NGRAM_WORDS):
        # Numbered anew at every word, so that no vocabulary makes the numbers overflow.
        joined_X = ngram_X * (len(place) + 1) + codes_T[starts_X + shift]
        _, ngram_X = np.unique(joined_X, return_inverse=True)
    num_ngrams = ngram_X.max(initial=-1) + 1
    pairs_X = np.unique(text_X * num_ngrams + ngram_X)
    return np.divmod(pairs_X, max(1, num_ngrams))
