"""What the page says in words of what was learned: no more than the numbers do."""

from dataclasses import replace

import pytest
from tests.report.conftest import sentences

from interlingua.report.numbers import ALL, TRAINED, Number, Numbers
from interlingua.report.tables.material import read_material

pytestmark = pytest.mark.slow


@pytest.fixture
def told_of(evaluated):
    """The sentence about facts, for changes of `said/kind` or `precision/kind`."""
    material = read_material("world", evaluated(is_rewarded=True), ())
    others = [n for n in material.numbers.all if not n.metric.startswith(("said/", "precision/"))]

    def tell(changes):
        numbers = [
            Number(
                host=ALL, predictor=predictor, metric=metric, value=change, low=change - 0.02,
                high=change + 0.02, num_units=60, covers="passages",
            )
            for metric, change in changes.items() for predictor in ("sampled", "sampled - start")
        ]  # fmt: skip
        shown = replace(material, numbers=Numbers([*others, *numbers]))
        found = [
            s[0]
            for s in sentences(shown)
            if str(s[0]).startswith(("It learned which", "It names the same"))
        ]
        return found[0] if found else None

    return tell


def test_it_says_which_facts_are_named_and_that_nothing_more_is_read(told_of):
    changes = {"said/topic": 0.3, "said/mood": -0.2, "precision/topic": 0.01, "precision/mood": 0}
    assert told_of(changes) == (
        "It learned which facts to name: more often topic; less often mood. It did not learn to "
        "read more of them: what it says of any kind is no truer than before."
    )


def test_what_is_read_better_or_worse_is_said(told_of):
    better = told_of({"said/topic": 0.3, "said/mood": 0.0, "precision/topic": 0.1})
    assert better.endswith("reads better: what it says of topic is truer than before.")
    worse = told_of({"said/topic": 0.3, "said/mood": 0.0, "precision/mood": -0.1})
    assert "no truer than before" in worse
    assert "What it says of mood is less true than before: such words may carry" in worse


def test_facts_that_are_named_as_often_as_before_are_not_nothing(told_of):
    better = told_of({"said/topic": 0.0, "precision/topic": 0.1})
    assert better.startswith("It names the same facts as often as before. It also reads better")


def test_nothing_is_said_of_changes_that_are_small(told_of):
    assert told_of({"said/topic": 0.03, "precision/topic": -0.03}) is None


def shown_with(material, host, values):
    """The material with these values in the place of its own."""
    made = [
        Number(
            host=host, predictor=predictor, metric="fve_centred_own", value=value,
            low=value - 0.02, high=value + 0.02, num_units=60, covers="passages",
        )
        for predictor, value in values.items()
    ]  # fmt: skip
    others = [n for n in material.numbers.all if n.predictor not in values]
    return replace(material, numbers=Numbers([*others, *made]))


@pytest.mark.parametrize(
    ("less", "verdict"),
    [
        (0.1, "so the AV says more than what is said of the row most like it"),
        (0.0, "so to look up the nearest row would do as well"),
        (-0.1, "so to look up the nearest row does better"),
    ],
)
def test_the_nearest_row_of_the_training_is_beside_the_nla(evaluated, less, verdict):
    """Of trained hosts: a held-out host has no such row."""
    values = {"nearest_explanation": 0.4, "sampled - nearest_explanation": less}
    shown = shown_with(read_material("world", evaluated(), ()), TRAINED, values)
    (found,) = [s for s in sentences(shown) if "nearest activation" in str(s[0])]
    assert found[1].text.startswith("0.40") and verdict in found[-1]


@pytest.mark.parametrize(
    ("less", "verdict"),
    [
        (0.1, "so more is read than which words are there"),
        (0.0, "so a list of the words would do as well"),
        (-0.1, "so a list of the words does better"),
    ],
)
def test_the_best_reader_of_words_is_beside_the_nla(evaluated, less, verdict):
    values = {
        "bag_of_words": 0.3,
        "word_network": 0.4,
        "word_pairs": 0.35,
        "sampled - word_network": less,
    }
    shown = shown_with(read_material("world", evaluated(), ()), ALL, values)
    (found,) = [s for s in sentences(shown) if "words of the same explanations" in str(s[0])]
    assert "(network on words)" in found[0] and found[1].text.startswith("0.40")
    assert verdict in found[-1]
