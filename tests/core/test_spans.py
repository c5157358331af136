"""Sentences are spans of characters, the same for every tokenizer."""

import pytest

from interlingua.core.spans import sentences, tokens_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dear friend, there was rain.", ["dear friend, there was rain."]),
        ("a b. c d?  e!", ["a b.", "c d?", "e!"]),
        ('he wrote: "no rain." then he went.', ['he wrote: "no rain."', "then he went."]),
        ("3.5 apples. and more", ["3.5 apples.", "and more"]),
        ("what?! no... yes.", ["what?!", "no...", "yes."]),
        ("no mark  ", ["no mark"]),
        ("", []),
        ("  ", []),
    ],
)
def test_a_text_falls_into_its_sentences(text, expected):
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_a_token_belongs_to_the_span_in_which_it_has_a_character():
    # "<s>", "a", " b", ".", " c", " d", "."
    offsets = [(0, 0), (0, 1), (1, 3), (3, 4), (4, 6), (6, 8), (8, 9)]
    first, second = sentences("a b. c d.")
    assert tokens_of(first, offsets) == [1, 2, 3]
    assert tokens_of(second, offsets) == [4, 5, 6]  # a space before a word is the word's token
