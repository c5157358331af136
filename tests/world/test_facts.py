"""The facts of passage i: keyed by i alone, and spread as the world's spec says."""

from collections import Counter
from dataclasses import replace

import pytest
from scipy import stats

from interlingua.core.keyed import keyed_random
from interlingua.world.facts import CATEGORICAL, SAYABLE, Problem, facts_of

NUM_PASSAGES = 4000
# The draws are fixed: this is how unlikely a spread must be to count as wrong.
UNLIKELY = 1e-4


@pytest.fixture(scope="module")
def facts(world):
    return [facts_of(index, world) for index in range(NUM_PASSAGES)]


def test_a_key_alone_decides_what_is_drawn() -> None:
    first = keyed_random("a", 1)
    first.random()
    assert keyed_random("a", 1).random() == keyed_random("a", 1).random()
    assert keyed_random("a", 1).random() != keyed_random("a", 11).random()
    assert keyed_random("a", 1, 1).random() != keyed_random("a", 11).random()
    # Known by heart: another Python or another machine must not draw other facts.
    assert keyed_random("facts", 0, 7).randrange(10**9) == 536675900


def test_order_does_not_matter(world, facts) -> None:
    again = [facts_of(index, world) for index in (17, 3, 1999)]
    assert again == [facts[17], facts[3], facts[1999]]


def test_another_seed_is_another_world(world, facts) -> None:
    other = [facts_of(index, replace(world, seed=1)) for index in range(50)]
    assert sum(a == b for a, b in zip(other, facts, strict=False)) == 0


def test_shares_are_those_of_the_spec(world, facts) -> None:
    hits = {
        world.second_language_share: sum(f.values["language"] == "ruska" for f in facts),
        world.problem_share: sum(f.problem is not None for f in facts),
        world.quote_share: sum(f.has_quote for f in facts),
    }
    for share, num_hits in hits.items():
        assert stats.binomtest(num_hits, NUM_PASSAGES, share).pvalue > UNLIKELY, (share, num_hits)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_nothing_or_all_is_exact(world, share) -> None:
    spec = replace(world, second_language_share=share, problem_share=share, quote_share=share)
    for facts in (facts_of(index, spec) for index in range(50)):
        assert facts.values["language"] == ("ruska" if share else "english")
        assert (facts.problem is not None, facts.has_quote) == (bool(share), bool(share))


@pytest.mark.parametrize("name", [name for name in CATEGORICAL if name != "language"])
def test_every_value_is_as_likely(facts, name) -> None:
    counts = Counter(f.values[name] for f in facts)
    assert set(counts) == set(CATEGORICAL[name])
    assert stats.chisquare(list(counts.values())).pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("one", "other"), [("topic", "role"), ("language", "topic"), ("mood", "style")]
)
def test_facts_are_independent(facts, one, other) -> None:
    pairs = Counter((f.values[one], f.values[other]) for f in facts)
    table = [[pairs[a, b] for b in CATEGORICAL[other]] for a in CATEGORICAL[one]]
    assert stats.chi2_contingency(table).pvalue > UNLIKELY


def test_problems_are_small_and_have_a_positive_answer(world, facts) -> None:
    problems = [f.problem for f in facts if f.problem is not None]
    for problem in problems:
        assert 1 <= problem.first <= world.largest_number
        assert 1 <= problem.second <= world.largest_number
        assert problem.loss is None or problem.loss >= 1
        assert problem.answer >= 1
    num_two_steps = sum(problem.loss is not None for problem in problems)
    assert stats.binomtest(num_two_steps, len(problems), 0.5).pvalue > UNLIKELY


def test_the_answer_takes_off_what_was_lost() -> None:
    assert Problem(first=4, second=3, loss=None).answer == 7
    assert Problem(first=4, second=3, loss=5).answer == 2


def test_everything_sayable_is_stored_with_its_value(facts) -> None:
    for f in facts[:200]:
        strings = f.as_strings()
        assert all(strings[name] in values for name, values in SAYABLE.items())
        assert strings["answer"] == ("" if f.problem is None else str(f.problem.answer))
        assert strings["quote"] == ("yes" if f.has_quote else "no")
