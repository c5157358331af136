"""Answers of chat models: whole, tagged, with thoughts before them, and those that give nothing."""

import pytest

from interlingua.sources.answers import Unusable, explanation_in_answer
from interlingua.specs.teachers import TaggedAnswer, WholeAnswer

EMPTY, MALFORMED = Unusable.EMPTY, Unusable.MALFORMED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" A recipe for bread. \n", "A recipe for bread."),
        ("One.\r\n\r\nTwo.", "One.\n\nTwo."),
        ("- a list stays\n- as it is", "- a list stays\n- as it is"),
        ("", EMPTY),
        (" \n ", EMPTY),
        ("<think>\nHm, bread?\n</think>\n\nA recipe.", "A recipe."),
        # A template may open the thought itself.
        ("Hm, bread?</think>A recipe.", "A recipe."),
        ("<think>Hm, bread", MALFORMED),
        ("<think>Hm.</think> ", EMPTY),
        ("<explanation>A recipe.</explanation>", MALFORMED),
        ("A recipe.</explanation> More.", MALFORMED),
        ("half a pair: \ud83d", "half a pair: ?"),
    ],
)
def test_a_whole_answer(text, expected):
    assert explanation_in_answer(text, WholeAnswer()) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("A recipe.\nThe oven is hot.", "A recipe.\n\nThe oven is hot."),
        ("\n- A recipe.\n\n- The oven is hot.\n", "A recipe.\n\nThe oven is hot."),
        ("1. One\n2) Two\n(3) Three\n10. Ten", "One\n\nTwo\n\nThree\n\nTen"),
        ("a) One\nB. Two\n(c) Three\niv. Four", "One\n\nTwo\n\nThree\n\nFour"),
        ("* One\n+ Two\n\u2022 Three\n\u2014 Four", "One\n\nTwo\n\nThree\n\nFour"),
        ("- **Genre:** a **hot** recipe\n2. **Bold**", "Genre: a **hot** recipe\n\nBold"),
        ("3.5 grams of salt\n-5 degrees", "3.5 grams of salt\n\n-5 degrees"),
        ("__init__ is called\n*args are given", "__init__ is called\n\n*args are given"),
        ("In 1998) it rained\ni.e. rain", "In 1998) it rained\n\ni.e. rain"),
        (" \n \n", EMPTY),
        ("", EMPTY),
        ("- \n", EMPTY),
        ("1.\nOne", "One"),
    ],
)
def test_a_tagged_answer_in_paragraphs(inside, expected):
    text = f"Here it is:\n<analysis>{inside}</analysis>\nAnything else?"
    assert explanation_in_answer(text, TaggedAnswer(tag="analysis")) == expected


@pytest.mark.parametrize(
    "text", ["One.", "<analysis>One.", "One.</analysis>", "</analysis>One.<analysis>"]
)
def test_an_answer_without_both_tags_is_malformed(text):
    assert explanation_in_answer(text, TaggedAnswer(tag="analysis")) is MALFORMED


def test_an_answer_with_too_few_paragraphs_is_malformed():
    answer = TaggedAnswer(tag="analysis", least_paragraphs=2)
    assert explanation_in_answer("<analysis>One.\n\n</analysis>", answer) is MALFORMED
    assert explanation_in_answer("<analysis>One.\nTwo.</analysis>", answer) == "One.\n\nTwo."


def test_the_tags_may_be_those_of_an_av_but_not_stand_within():
    answer = TaggedAnswer(tag="explanation")
    assert explanation_in_answer("<explanation>One.</explanation>", answer) == "One."
    twice = "<explanation><explanation>One.</explanation></explanation>"
    assert explanation_in_answer(twice, answer) is MALFORMED


def test_a_tag_in_a_thought_is_none():
    text = "I write <analysis>x</analysis>.</think><analysis>One.</analysis>"
    assert explanation_in_answer(text, TaggedAnswer(tag="analysis")) == "One."
