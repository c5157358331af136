"""Precision and recall of facts: by hand, by slow counting, and for texts that guess."""

import numpy as np
import pytest

from interlingua.core.metrics import derangement
from interlingua.core.resampling import Draws
from interlingua.core.statistics import clustered_ratio_of_sums, estimate_of
from interlingua.core.truth import fact_counts, truth_drawn

COLOURS, MOODS = ("red", "blue", "green"), ("glad", "sad")


def world(num_passages=80, rows_each=3, seed=0):
    """True facts, and what is said: the colour mostly right, the mood guessed or left out."""
    rng = np.random.default_rng(seed)
    said, true, passages = [], [], []
    for passage in range(num_passages):
        facts = [("colour", str(rng.choice(COLOURS))), ("mood", str(rng.choice(MOODS)))]
        for _ in range(rows_each):
            colour = facts[0][1] if rng.random() < 0.9 else str(rng.choice(COLOURS))
            mood = [("mood", str(rng.choice(MOODS)))] if rng.random() < 0.5 else []
            said.append([("colour", colour), *mood])
            true.append(facts)
            passages.append(f"p{passage}")
    return said, true, np.array(passages)


def truth_estimates(said, true, passages_N, seed):
    drawn = truth_drawn(fact_counts(said, true), passages_N, Draws.of(passages_N, seed=seed))
    return {name: estimate_of(one) for name, one in drawn.items()}


def test_facts_are_counted_by_kind():
    said = [[("mood", "sad"), ("colour", "red")], [("colour", "red"), ("colour", "blue")], []]
    true = [[("mood", "sad"), ("colour", "blue")], [("colour", "blue")], [("mood", "glad")]]
    counts = fact_counts(said, true)
    assert [column.tolist() for column in counts["colour"]] == [[1, 2, 0], [1, 1, 0], [0, 1, 0]]
    assert [column.tolist() for column in counts["mood"]] == [[1, 0, 0], [1, 0, 1], [1, 0, 0]]
    assert [column.tolist() for column in counts["all"]] == [[2, 2, 0], [2, 1, 1], [1, 1, 0]]
    found = truth_estimates(said, true, np.arange(3), seed=0)
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(
        {
            "precision/all": 2 / 4,
            "recall/all": 2 / 4,
            "f1/all": 2 / 4,
            "precision/colour": 1 / 3,
            "recall/colour": 1 / 2,
            "f1/colour": 2 / 5,
            "precision/mood": 1.0,
            "recall/mood": 1 / 2,
            "f1/mood": 2 / 3,
        }
    )


def test_a_fact_said_twice_counts_once():
    counts = fact_counts([[("mood", "sad")] * 2], [[("mood", "sad")]])
    assert [column.tolist() for column in counts["mood"]] == [[1], [1], [1]]


def test_the_estimates_equal_slow_counts_with_clustered_intervals():
    said, true, passages_N = world()
    found = truth_estimates(said, true, passages_N, seed=5)
    for kind in ("colour", "mood"):
        right_N = np.array(
            [
                sum(k == kind and (k, v) in facts for k, v in told)
                for told, facts in zip(said, true, strict=True)
            ]
        )
        said_N = np.array([sum(k == kind for k, _ in told) for told in said])
        precision = clustered_ratio_of_sums(right_N, said_N, passages_N, seed=5)
        recall = clustered_ratio_of_sums(right_N, np.ones(len(said)), passages_N, seed=5)
        for name, expected in ((f"precision/{kind}", precision), (f"recall/{kind}", recall)):
            assert found[name].num_units == 80
            assert (found[name].value, found[name].low, found[name].high) == pytest.approx(
                (expected.value, expected.low, expected.high)
            )


def test_what_is_never_said_has_a_recall_and_no_precision():
    found = truth_estimates([[], []], [[("mood", "sad")], [("mood", "glad")]], np.arange(2), seed=0)
    assert "precision/mood" not in found
    assert found["recall/mood"].value == 0
    assert found["f1/mood"].value == 0


def test_facts_of_other_passages_show_what_guessing_reaches():
    said, true, passages_N = world(num_passages=300)
    other_N = derangement(passages_N, seed=0)
    draws = Draws.of(passages_N, seed=0)
    own = truth_drawn(fact_counts(said, true), passages_N, draws)
    other_true = [true[row] for row in other_N]
    guessed = truth_drawn(fact_counts(said, other_true), passages_N, draws)
    assert guessed["precision/colour"].value == pytest.approx(1 / 3, abs=0.06)
    assert own["precision/colour"].value > 0.85
    assert own["precision/mood"].value == pytest.approx(guessed["precision/mood"].value, abs=0.1)


def test_no_kind_takes_the_name_of_all_kinds():
    with pytest.raises(ValueError, match="'all'"):
        fact_counts([[("all", "x")]], [[]])
