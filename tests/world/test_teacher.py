"""The teacher says a keyed part of the truth, and any text gives its facts back."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from scipy import stats

from interlingua.core.keyed import keyed_random
from interlingua.specs.world import WorldTeacher
from interlingua.world.facts import SAYABLE
from interlingua.world.teacher import (
    WORDINGS,
    explanation_at,
    explanation_from,
    explanation_of,
    facts_asserted,
    last_word_of,
)

TEACHER = WorldTeacher(seed=0, min_facts=3, max_facts=4, max_words=18)
TRUTH = {
    "language": "english",
    "topic": "farm",
    "style": "letter",
    "mood": "glad",
    "role": "clerk",
    "object": "lamp",
    "weather": "rain",
}
CLAUSES = [
    (fact, value, wording.format(value))
    for fact, values in SAYABLE.items()
    for value in values
    for wording in WORDINGS[fact]
]
# The draws are fixed: this is how unlikely a spread must be to count as wrong.
UNLIKELY = 1e-4


@pytest.fixture(scope="module")
def explained(passages):
    """Passages with what the teacher says of them."""
    return [(p.facts, explanation_of(p.facts, p.passage_id, TEACHER, 0)) for p in passages]


def test_the_key_alone_decides_what_is_said() -> None:
    # Known by heart: the same on every machine.
    identity = "0123456789abcdef"
    assert (
        explanation_of(TRUTH, identity, TEACHER, 0)
        == "language english. a clerk appears. outside rain."
    )
    assert (
        explanation_of(TRUTH, identity, TEACHER, 1)
        == "object lamp. a letter. weather rain. about a farm."
    )


def test_other_samples_passages_and_seeds_say_other_facts(passages) -> None:
    chosen = passages[:300]

    def said(teacher, sample, ids):
        texts = [explanation_of(TRUTH, i, teacher, sample) for i in ids]
        return [frozenset(facts_asserted(text).facts) for text in texts]

    ids = [passage.passage_id for passage in chosen]
    first = said(TEACHER, 0, ids)
    others = (
        said(TEACHER, 1, ids),
        said(replace(TEACHER, seed=1), 0, ids),
        said(TEACHER, 0, ids[1:] + ids[:1]),
    )
    for other in others:
        num_same = sum(a == b for a, b in zip(first, other, strict=True))
        assert num_same < 0.1 * len(ids)


def test_everything_said_is_true(explained) -> None:
    for truth, text in explained:
        said = facts_asserted(text)
        assert said.true_facts(truth) == said.facts
        assert said.num_known_clauses == said.num_clauses == len(said.facts)


def test_the_number_of_facts_and_words_is_as_asked(explained) -> None:
    numbers = Counter(len(facts_asserted(text).facts) for _, text in explained)
    assert set(numbers) == {3, 4}
    assert stats.binomtest(numbers[3], len(explained), 0.5).pvalue > UNLIKELY
    assert all(len(text.split()) <= TEACHER.max_words for _, text in explained)


def test_every_fact_is_said_as_often(explained) -> None:
    counts = Counter(fact for _, text in explained for fact, _ in facts_asserted(text).facts)
    assert set(counts) == set(SAYABLE)
    assert stats.chisquare(list(counts.values())).pvalue > UNLIKELY


def test_every_fact_stands_first_as_often(explained) -> None:
    counts = Counter(facts_asserted(text).facts[0][0] for _, text in explained)
    assert stats.chisquare(list(counts.values())).pvalue > UNLIKELY


def test_the_budget_of_words_holds_whole_clauses(passages) -> None:
    tight = replace(TEACHER, max_words=5)
    for passage in passages[:300]:
        text = explanation_of(passage.facts, passage.passage_id, tight, 0)
        said = facts_asserted(text)
        assert len(text.split()) <= 5
        assert said.num_known_clauses == said.num_clauses >= 1


def test_asked_facts_are_said_in_the_asked_order() -> None:
    for facts in combinations(SAYABLE, 3):
        text = explanation_from(list(facts[::-1]), TRUTH, keyed_random(facts), max_words=99)
        assert facts_asserted(text).facts == tuple((fact, TRUTH[fact]) for fact in facts[::-1])


def test_no_value_belongs_to_two_facts() -> None:
    counts = Counter(value for values in SAYABLE.values() for value in values)
    assert [value for value, count in counts.items() if count > 1] == []


def test_every_clause_says_its_fact_and_nothing_else() -> None:
    assert len({clause for _, _, clause in CLAUSES}) == len(CLAUSES)
    for fact, value, clause in CLAUSES:
        said = facts_asserted(clause)
        assert said.facts == ((fact, value),)
        assert (said.num_clauses, said.num_known_clauses) == (1, 1)


def test_any_two_clauses_say_both_facts() -> None:
    for fact, value, clause in CLAUSES:
        for other_fact, other_value, other in CLAUSES[:: len(CLAUSES) // 20]:
            expected = dict.fromkeys([(fact, value), (other_fact, other_value)])
            assert facts_asserted(f"{clause} {other}").facts == tuple(expected)


def test_free_text_is_read_by_its_value_words() -> None:
    text = (
        "Written in ENGLISH, this Letter (about a farm!) sounds glad;\nthe clerk has a lamp: rain."
    )
    said = facts_asserted(text)
    assert dict(said.facts) == TRUTH
    assert said.true_facts(TRUTH) == said.facts
    assert (said.num_clauses, said.num_known_clauses) == (1, 0)


def test_part_of_a_word_says_nothing() -> None:
    assert facts_asserted("farmer letters gladly rainy lamps clerks").facts == ()


def test_wrong_facts_are_said_but_not_true() -> None:
    said = facts_asserted("topic mine. topic farm. sad mood. a letter. topic mine.")
    assert said.facts == (
        ("topic", "mine"),
        ("topic", "farm"),
        ("mood", "sad"),
        ("style", "letter"),
    )
    assert said.true_facts(TRUTH) == (("topic", "farm"), ("style", "letter"))


def test_unknown_clauses_are_counted() -> None:
    said = facts_asserted("about a farm. lorem ipsum. with a letter. Outside RAIN.. ")
    assert (said.num_clauses, said.num_known_clauses) == (4, 2)


@pytest.mark.parametrize("text", ["", "   ", "...", "1234 \u320e"])
def test_text_without_facts_says_none(text) -> None:
    said = facts_asserted(text)
    assert said.facts == ()
    assert said.num_known_clauses == 0


@pytest.mark.parametrize(
    ("prefix", "word"),
    [("the farmer went", "went"), ("in the villa", "villa"), ('she said: "', '"'), ("home. ", ".")],
)
def test_an_explanation_of_a_token_ends_with_the_last_word(prefix, word) -> None:
    values = {name: choices[0] for name, choices in SAYABLE.items()}
    for seed in range(9):
        text = explanation_at(["topic"], values, prefix, random.Random(seed), 18)
        assert last_word_of(text) == word
        assert facts_asserted(text).facts == (("topic", values["topic"]),)


def test_a_last_word_that_is_a_value_is_no_fact_of_the_passage() -> None:
    assert facts_asserted("in english. last word farm.").facts == (("language", "english"),)
    assert last_word_of("about a farm.") is None
