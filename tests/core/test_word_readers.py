"""Readers of words: each finds what is planted for it, and none finds what is not there."""

import numpy as np
import pytest

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.word_readers import NETWORK, PAIRS, READERS, RIDGE, fit_word_readers
from interlingua.specs.maps import RidgeSpec

WORDS = tuple("abcdef")
STRENGTHS = RidgeSpec(strengths=(1e-3, 1e-1), num_folds=4)
NUM_ROWS, WIDTH = 1200, 8


def drawn(seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [list(rng.permutation(list(WORDS))[:3]) for _ in range(NUM_ROWS)]


def by_words(words: list[str], directions_WD: np.ndarray) -> np.ndarray:
    return sum(directions_WD[WORDS.index(word)] for word in words)


def by_sets(words: list[str], directions_WD: np.ndarray) -> np.ndarray:
    """What no sum over words gives: whether the first two letters stand together."""
    return directions_WD[0] * ((("a" in words) != ("b" in words)) - 0.5)


def by_order(words: list[str], directions_WD: np.ndarray) -> np.ndarray:
    """What no count of words gives: what the first of them is followed by."""
    places = ("abcdef".index(word) for word in words[:2])
    first, second = places
    return directions_WD[0] * (1.0 if first < second else -1.0)


def explained(make) -> dict[str, float]:
    """Share of the variance of new rows that each reader explains, about the mean."""
    directions_WD = np.random.default_rng(9).normal(size=(len(WORDS), WIDTH))
    rows, new = drawn(0), drawn(1)
    targets_ND = np.array([make(words, directions_WD) for words in rows])
    held_ND = np.array([make(words, directions_WD) for words in new])
    readers = fit_word_readers(
        [" ".join(words) for words in rows],
        lambda part: targets_ND[part],
        np.arange(NUM_ROWS) % 4,
        STRENGTHS,
        most=99,
        seed=0,
    )
    total = ((held_ND - held_ND.mean(0)) ** 2).sum()
    texts = [" ".join(words) for words in new]
    return {
        name: 1 - float(((read(texts) - held_ND) ** 2).sum() / total)
        for name, read in readers.items()
    }


def test_a_sum_over_words_is_found_by_all():
    found = explained(by_words)
    assert set(found) == set(READERS) and min(found.values()) > 0.98


def test_which_words_stand_together_takes_the_network():
    found = explained(by_sets)
    assert found[NETWORK] > 0.95 and found[RIDGE] < 0.4


def test_order_takes_pairs():
    found = explained(by_order)
    assert found[PAIRS] > 0.9 and max(found[RIDGE], found[NETWORK]) < 0.1


def test_where_the_words_say_nothing_no_reader_says_anything():
    noise = np.random.default_rng(3)
    found = explained(lambda words, directions_WD: noise.normal(size=WIDTH))
    assert max(found.values()) < 0.01 and min(found.values()) > -0.2


def test_texts_without_words_are_read_as_the_mean():
    targets_ND = np.arange(12.0).reshape(4, 3)
    readers = fit_word_readers(
        ["", " ", "", ""], lambda part: targets_ND[part], np.arange(4), STRENGTHS, most=9, seed=0
    )
    for read in readers.values():
        np.testing.assert_allclose(read(["a", ""]), [targets_ND.mean(0)] * 2)


def test_pairs_are_of_neighbours_and_count_beside_their_words():
    bag = BagOfWords(["b a, b a."], count_pairs=True)
    counts = dict(zip(["a", "a b", "b", "b a"], bag.counts(["a b"])[0], strict=True))
    assert counts == {"a": 1, "a b": 1, "b": 1, "b a": 0}


@pytest.mark.parametrize("count_pairs", [False, True])
def test_the_most_frequent_are_counted(count_pairs):
    assert BagOfWords(["a a a b b c"], most=2, count_pairs=count_pairs).num_words == 2
