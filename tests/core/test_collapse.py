"""Collapse measures: by slow definitions, and on texts that did and did not collapse."""

import numpy as np
import pytest

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.collapse import collapse_drawn, score_texts, similarity
from interlingua.core.geometry import unit
from interlingua.core.resampling import Draws
from interlingua.core.statistics import estimate_of

WORDS = [f"word{number}" for number in range(30)]


def texts_about(passages_N, seed, num_words=8):
    """Texts whose words mostly go by their passage, and differ between samples."""
    texts = []
    for row, passage in enumerate(passages_N):
        of_passage = np.random.default_rng(int(passage)).choice(WORDS, size=num_words - 2)
        of_row = np.random.default_rng([seed, row]).choice(WORDS, size=2)
        texts.append(" ".join([*of_passage, *of_row]))
    return texts


def rates(texts, passages_N):
    draws = Draws.of(passages_N, seed=0)
    drawn = collapse_drawn(score_texts(texts, passages_N)._asdict(), passages_N, draws)
    return {name: one.value for name, one in drawn.items()}


def slow_similarity(left, right, passages_N, rows_n):
    """Own and other mean cosine over drawn rows; copies of a passage are one passage."""
    words = BagOfWords([*left, *right])
    cos_NN = unit(words.counts(left)) @ unit(words.counts(right)).T
    cos_nn = cos_NN[np.ix_(rows_n, rows_n)]
    is_other_nn = passages_N[rows_n][:, None] != passages_N[rows_n]
    return cos_NN[rows_n, rows_n].mean(), cos_nn[is_other_nn].mean()


def test_similarity_equals_that_of_all_pairs_also_in_every_draw():
    passages_N = np.array([3, 1, 1, 2, 2, 2, 3, 5])
    left, right = texts_about(passages_N, seed=0), texts_about(passages_N, seed=1)
    draws = Draws.of(passages_N, seed=0, num_draws=600)
    found = similarity(left, right, passages_N, draws)
    own, other = slow_similarity(left, right, passages_N, np.arange(8))
    assert (found.own.value, found.other.value) == pytest.approx((own, other), abs=1e-12)
    assert found.gap.value == pytest.approx(own - other, abs=1e-12)
    times_RN = draws.weights_RU[:, draws.places(passages_N)].astype(int)
    for draw in (0, 1, 511, 512, 599):
        rows_n = np.repeat(np.arange(8), times_RN[draw])
        own, other = slow_similarity(left, right, passages_N, rows_n)
        assert found.own.draws_R[draw] == pytest.approx(own, abs=1e-12)
        assert found.other.draws_R[draw] == pytest.approx(other, abs=1e-12)


def test_the_rates_equal_their_definitions():
    texts = ["a b c d e", "a b c d x", None, "A b c d", "q q q", "a b c d e", ""]
    passages_N = np.array([0, 1, 1, 1, 2, 2, 3])
    assert rates(texts, passages_N) == pytest.approx(
        {
            "tag_failure_share": 1 / 7,
            "unique_share": 5 / 6,
            # a b c d e: both 4-grams, twice; a b c d x: one of two; a b c d: its only one
            "shared_ngram_share": (1 + 0.5 + 1 + 0 + 1 + 0) / 6,
            "distinct_word_share": (5 + 5 + 4 + 1 + 5) / (5 + 5 + 4 + 3 + 5),
            "mean_words": 22 / 6,
        }
    )


def test_ngrams_that_only_their_own_passage_has_are_not_shared():
    texts = ["one two three four", "one two three four", "five six"]
    scores = score_texts(texts, np.array([0, 0, 1]))
    assert scores.shared_ngrams.tolist() == [0, 0, 0]
    assert scores.uniqueness.tolist() == [0.5, 0.5, 1]
    scores = score_texts(texts, np.array([0, 1, 1]))
    assert scores.shared_ngrams.tolist() == [1, 1, 0]


def test_the_callers_tokens_are_counted_and_failures_alone_have_only_a_share():
    passages_N = np.arange(3)
    columns = score_texts([None] * 3, passages_N)._asdict() | {"num_tokens": np.array([4, 5, 9])}
    drawn = collapse_drawn(columns, passages_N, Draws.of(passages_N, seed=0))
    assert {name: one.value for name, one in drawn.items()} == {
        "tag_failure_share": 1.0,
        "mean_tokens": 6.0,
    }


def test_one_text_for_all_is_seen_by_every_measure():
    passages_N = np.repeat(np.arange(60), 2)
    varied, constant = texts_about(passages_N, seed=0), ["it is all the same to me"] * 120
    before, after = rates(varied, passages_N), rates(constant, passages_N)
    assert before["unique_share"] > 0.9 and after["unique_share"] == pytest.approx(1 / 120)
    assert before["shared_ngram_share"] < 0.1 and after["shared_ngram_share"] == 1
    draws = Draws.of(passages_N, seed=0)
    found = similarity(constant, constant, passages_N, draws)
    assert found.other.value == pytest.approx(1)
    assert found.gap.draws_R == pytest.approx(np.zeros(2000), abs=1e-12)
    assert similarity(varied, varied, passages_N, draws).other.value < 0.5


def test_varied_texts_that_ignore_their_vector_have_no_gap():
    """Samples under real vectors hang together, those under shuffled ones do not."""
    passages_N = np.repeat(np.arange(200), 2)
    real = texts_about(passages_N, seed=0)
    again = texts_about(passages_N, seed=1)
    shuffled = texts_about((passages_N + 1) % 200, seed=2)
    draws = Draws.of(passages_N, seed=0)
    told = estimate_of(similarity(real, again, passages_N, draws).gap)
    ignored = estimate_of(similarity(real, shuffled, passages_N, draws).gap)
    assert told.low > 0.3 and told.num_units == 200
    assert ignored.low < 0 < ignored.high


def test_a_single_passage_has_nothing_else_to_be_like():
    passages_N = np.zeros(3, dtype=int)
    texts = texts_about(passages_N, seed=0)
    with pytest.raises(ValueError, match="one passage"):
        similarity(texts, texts, passages_N, Draws.of(passages_N, seed=0))
