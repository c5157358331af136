"""Measures of collapse: texts that no longer differ between activations, which no FVE shows.

Of texts alone, and to be read beside another predictor (the start of a training, shuffled vectors):
no value is good or bad by itself. Knows no vector, no truth and no threshold. N rows, U units of
resampling (passages), W words of the vocabulary, B draws of a block.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

Ngram = tuple[str, ...]


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
    return draws.ratios(
        {
            name: Ratio(columns[above], columns[below], passages_N)
            for name, (above, below) in COLLAPSE_COLUMNS.items()
            if above in columns and below in columns and columns[below].any()
        }
    )


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
    left_UW, right_UW = (
        _directions_by_unit(words, texts, places_N, len(draws.units_U)) for texts in (left, right)
    )
    own = draws.ratio(Ratio(_cosines(words, left, right), np.ones(len(left)), passages_N))
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


def _directions_by_unit(
    words: BagOfWords, texts: Sequence[str], places_N: np.ndarray, num_units: int
) -> np.ndarray:
    """The sum of the unit word vectors of every unit's texts."""
    sums_UW = np.zeros((num_units, words.num_words))
    for part in _blocks(len(texts)):
        # add.at: with += a unit that stands twice in a block would be added once, in silence.
        np.add.at(sums_UW, places_N[part], unit(words.counts(texts[part])))
    return sums_UW


def _cosines(words: BagOfWords, left: Sequence[str], right: Sequence[str]) -> np.ndarray:
    cosines = [
        np.einsum("nw,nw->n", unit(words.counts(left[part])), unit(words.counts(right[part])))
        for part in _blocks(len(left))
    ]
    return np.concatenate(cosines)


def _blocks(num_rows: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, num_rows, BLOCK))


def _shared_ngrams(words: Sequence[Sequence[str]], passages_N: np.ndarray) -> np.ndarray:
    """The share of every text's n-grams that occur in another passage, too."""
    ngrams = [_ngrams(own) for own in words]
    owner: dict[Ngram, object] = {}
    shared: set[Ngram] = set()
    # All rows before any share: an n-gram is shared in the first text that has it, too.
    for own, passage in zip(ngrams, passages_N, strict=True):
        shared.update(ngram for ngram in own if owner.setdefault(ngram, passage) != passage)
    return np.array([len(own & shared) / max(1, len(own)) for own in ngrams])


def _ngrams(words: Sequence[str]) -> set[Ngram]:
    """The distinct n-grams of a text; one that is shorter is its own n-gram."""
    starts = range(max(1, len(words) - NGRAM_WORDS + 1))
    return {tuple(words[start : start + NGRAM_WORDS]) for start in starts} if words else set()
