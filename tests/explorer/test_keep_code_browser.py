"""The page's code for what people keep: hashes, lines of a figure, values as Python has them."""

import ast
import hashlib
import json

import pytest

HEBREW = ["\u05e9\u05dc\u05d5\u05dd", " \u05e2\u05d5\u05dc\u05dd"]


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 5000])
def test_a_hash_is_sha_256(called, length) -> None:
    text = ("ab\u00e9\U0001f332" * 2000)[:length]
    expected = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert called("keep_hash", "shortHash", text) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"text": 'it\'s "so"\n\\n \u2028\x7f\x00\U0001f332', "positions": [-1, 3], "stream": False},
        {
            "temperature": 0.7,
            "activations": {"base64": "AA==", "shape": [1, 4]},
            "seed": 0,
            "a": {},
        },
    ],
)
def test_a_value_is_one_of_python(called, value) -> None:
    assert ast.literal_eval(called("keep_code", "literal", value, "")) == value
    assert ast.literal_eval(called("keep_code", "literal", json.loads(json.dumps(value)))) == value


def lines(called, texts: list[str], width: int) -> list[list[tuple[str, int]]]:
    """Lines where every character is as wide as another."""
    found = called.run(
        """import("/explorer/js/figure_lines.js").then(({ linesOf }) =>
          linesOf(arguments[0].map((text) => ({ text })), arguments[1],
            ({ text }) => [...text].length))""",
        texts,
        width,
    )
    return [[(piece["text"], piece["x"]) for piece in line["pieces"]] for line in found]


def test_lines_are_broken_at_spaces_and_behind_newlines(called) -> None:
    assert lines(called, [" the", " farm", "er", " sings", ".\n\n", "End"], 10) == [
        [("the", 0), (" farm", 3), ("er", 8)],
        [("sings", 0), (".\u21b5", 5)],
        [("\u21b5", 0)],
        [("End", 0)],
    ]


def test_a_word_longer_than_a_line_is_cut_and_no_character_is(called) -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert lines(called, ["abcdefgh"], 3) == [[("abc", 0)], [("def", 0)], [("gh", 0)]]
    assert lines(called, [family * 2], 6) == [[(family, 0)], [(family, 0)]]


def test_a_text_from_the_right_is_laid_from_the_right(called) -> None:
    (line,) = lines(called, [*HEBREW, " ab", " cd", " \u05d8\u05d5\u05d1"], 30)
    assert line == [
        (HEBREW[0], 26), (HEBREW[1], 21), (" cd", 18), (" ab", 15), (" \u05d8\u05d5\u05d1", 11),
    ]  # fmt: skip
    (line,) = lines(called, ["the", *HEBREW, " end"], 30)
    assert line == [("the", 0), (HEBREW[1], 3), (HEBREW[0], 8), (" end", 12)]


def test_letters_that_join_keep_their_shape_where_a_token_ends_inside_a_word(called) -> None:
    (line,) = lines(called, ["\u0645\u0631", "\u062d\u0628"], 30)
    assert [text for text, _ in line] == ["\u0645\u0631\u200d", "\u200d\u062d\u0628"]
