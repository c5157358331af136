"""Explanations in parts, changed texts and what is read from their scores: the page's own code."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from tests.serving.client.served import served

from interlingua.serving.explorer.page import page_folder, page_router

Called = Callable[..., Any]
WORLD = "a farmer appears. sounds glad. with a lamp."
FACTS = ["mood=glad", "object=lamp", "quote="]
KINDS = {"mood": ["angry", "calm", "glad", "sad"], "object": ["lamp", "rope"], "quote": ["", "yes"]}
HEBREW = (
    "\u05e9\u05dc\u05d5\u05dd, \u05e2\u05d5\u05dc\u05dd. \u05d4\u05db\u05dc \u05d8\u05d5\u05d1!"
)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HOSTILE = [
    "",
    "   \n\t ",
    "...",
    "word",
    FAMILY,
    f"{FAMILY} {FAMILY}. \U0001f600! x",
    HEBREW,
    "\u4ed6\u5f88\u9ad8\u5174\u3002\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u8d70\u5427",
    "one\r\ntwo\n\n\nthree",
    "  lead. and trail.  ",
    "10:30, 1,000 (a, b); c",
    "a\x00b, c. d",
    "<b>x</b>. &amp; <script>y</script>.",
    "no marks at all " * 500,
    "x" * 8000,
    "a. " * 2666,
    "!" * 4000 + "x",
    "so, " * 2000,
]


@pytest.fixture(scope="module")
def called(chromium) -> Iterator[Called]:
    """Call a function of one of the page's modules."""
    app = FastAPI()
    app.include_router(page_router(page_folder()))
    page = chromium.new_context().new_page()
    with served(app) as url:
        page.goto(f"{url}/explorer/icon.svg")

        def call(name: str, *arguments: object, module: str = "doubt_texts") -> Any:
            script = f"import('/explorer/js/{module}.js').then((one) => one.{name}(...arguments))"
            return page.evaluate(f"(arguments) => {script}", arguments)

        yield call
        page.context.close()


def texts_of(called: Called, content: str) -> list[str]:
    return [one["text"] for one in called("partsOf", content)["parts"]]


@pytest.mark.parametrize(
    ("content", "unit", "parts"),
    [
        (WORLD, "sentence", ["a farmer appears.", "sounds glad.", "with a lamp."]),
        ("a farmer, who sings; glad", "clause", ["a farmer,", "who sings;", "glad"]),
        ("first\nsecond\n", "clause", ["first", "second"]),
        ("about a farm", "word", ["about", "a", "farm"]),
        ("(about) a farm.", "word", ["(about)", "a", "farm."]),
        ("at 10:30 1,000 came", "word", ["at", "10:30", "1,000", "came"]),
        ("\u4ed6\u5f88\u9ad8\u5174", "word", ["\u4ed6", "\u5f88", "\u9ad8\u5174"]),
        ("word", "sentence", ["word"]),
        ("  \n ", "sentence", []),
        ("\u4ed6\u3002\u5929\uff0c\u8d70", "clause", ["\u4ed6\u3002", "\u5929\uff0c", "\u8d70"]),
        (HEBREW, "sentence", [HEBREW[:11], HEBREW[12:]]),
    ],
)
def test_parts_are_sentences_else_clauses_else_words(called, content, unit, parts) -> None:
    found = called("partsOf", content)
    assert (found["unit"], [one["text"] for one in found["parts"]]) == (unit, parts)
    assert found["numFound"] == len(parts)


@pytest.mark.parametrize("content", HOSTILE)
def test_parts_are_in_order_and_hold_all_that_is_no_space(called, content) -> None:
    found = called("partsOf", content)
    parts = found["parts"]
    assert len(parts) == min(found["numFound"], 24) and all(one["text"].strip() for one in parts)
    units = content.encode("utf-16-le")
    end = 0
    for one in parts:
        between = units[2 * end : 2 * one["start"]].decode("utf-16-le")
        inside = units[2 * one["start"] : 2 * one["end"]].decode("utf-16-le")
        assert between.strip() == "" and inside == one["text"]
        end = one["end"]
    assert units[2 * end :].decode("utf-16-le").strip() == ""


def test_beyond_so_many_parts_the_shortest_neighbours_become_one(called) -> None:
    long = "a long sentence that stays what it is. " * 23
    content = f"{long}a. b. c."
    found = called("partsOf", content)
    assert found["numFound"] == 26 and len(found["parts"]) == 24
    assert found["parts"][-1]["text"] == "a. b. c."
    assert found["parts"][0]["text"] == "a long sentence that stays what it is."


@pytest.mark.parametrize("content", [WORLD, *HOSTILE])
def test_what_is_asked_holds_every_text_once_and_none_that_is_empty(called, content) -> None:
    parts = called("partsOf", content)["parts"]
    asked = called("asked", content, parts)
    texts = asked["texts"]
    assert texts[asked["whole"]] == content and len(set(texts)) == len(texts)
    assert all(text.strip() for text in texts[1:]) and len(texts) <= 48
    dropped, beginnings = called("dropped", content, parts), called("beginnings", content, parts)
    for wanted, places in ((dropped, asked["dropped"]), (beginnings, asked["beginnings"])):
        assert [None if place is None else texts[place] for place in places] == [
            text if text.strip() else None for text in wanted
        ]


def test_a_part_is_dropped_and_beginnings_grow(called) -> None:
    parts = called("partsOf", WORLD)["parts"]
    assert called("dropped", WORLD, parts) == [
        "sounds glad. with a lamp.",
        "a farmer appears. with a lamp.",
        "a farmer appears. sounds glad.",
    ]
    assert called("beginnings", WORLD, parts) == [
        "a farmer appears.",
        "a farmer appears. sounds glad.",
        WORLD,
    ]
    asked = called("asked", WORLD, parts)
    assert asked["dropped"][2] == asked["beginnings"][1] and asked["beginnings"][2] == 0
    assert len(asked["texts"]) == 5


def swaps(called: Called, content: str, place: int, facts=FACTS, kinds=KINDS) -> list[dict]:
    part = called("partsOf", content)["parts"][place]
    return called("falseSwaps", content, part, facts, kinds)


def test_a_true_value_is_replaced_by_every_other_of_its_kind(called) -> None:
    found = swaps(called, WORLD, 1)
    assert [(one["from"], one["to"], one["source"]) for one in found] == [
        ("glad", "angry", "mood"), ("glad", "calm", "mood"), ("glad", "sad", "mood"),
    ]  # fmt: skip
    assert found[0]["part"] == "sounds angry."
    assert found[0]["text"] == "a farmer appears. sounds angry. with a lamp."
    assert swaps(called, WORLD, 0) == []  # "farmer" is no "farm", and no fact


@pytest.mark.parametrize(
    ("content", "facts", "kinds", "parts"),
    [
        ("Glad, the gladiator is GLAD. b.", FACTS, KINDS, ["Angry, the gladiator is Angry."]),
        ("sounds sad. b.", FACTS, KINDS, []),
        ("sounds glad. b.", ["mood=glad", "mood=sad"], {"mood": ["sad", "glad", "calm"]},
         ["sounds calm."]),
        ("a dry  reed. b.", ["of=dry reed"], {"of": ["dry reed", "wet (reed)"]}, ["a wet (reed)."]),
        ("a+b is it. c.", ["sum=a+b"], {"sum": ["a+b", "c$1"]}, ["c$1 is it."]),
        ("yes glad. b.", ["mood=glad"], {"other": ["glad", "x"]}, []),
        ("constructor. b.", ["constructor=constructor"], {}, []),
        ("\u0440\u0430\u0434 \u043e\u043d. b.", ["m=\u0440\u0430\u0434"],
         {"m": ["\u0437\u043e\u043b"]}, ["\u0437\u043e\u043b \u043e\u043d."]),
        ("eq=al glad. b.", ["k=eq=al"], {"k": ["eq=al", "n"]}, ["n glad."]),
    ],
)  # fmt: skip
def test_values_are_words_of_their_own(called, content, facts, kinds, parts) -> None:
    found = swaps(called, content, 0, facts, kinds)
    assert [one["part"] for one in found[:1]] == parts[:1]
    assert parts or found == []


def test_a_word_that_stands_elsewhere_is_found(called) -> None:
    content = "sounds glad. glad mood. gladly."
    parts = called("partsOf", content)["parts"]
    assert [called("isElsewhere", "glad", part, parts) for part in parts] == [True, True, True]
    assert not called("isElsewhere", "gladly", parts[2], parts)


def test_parts_of_other_explanations_are_those_nearest_in_length(called) -> None:
    part = called("partsOf", WORLD)["parts"][1]
    others = [
        {"explanation": "sounds glad. it concerns the court. SOUNDS SAD!", "source": "token 3"},
        {"explanation": "sounds sad. a letter. with a lamp.", "source": "another passage"},
    ]
    found = called("foreignSwaps", WORLD, part, others)
    assert [(one["part"], one["source"]) for one in found] == [
        ("SOUNDS SAD!", "token 3"),
        ("a letter.", "another passage"),
        ("it concerns the court.", "token 3"),
    ]
    assert found[0]["text"] == "a farmer appears. SOUNDS SAD! with a lamp."
    assert len(called("foreignSwaps", WORLD, part, others, 2)) == 2
    assert called("foreignSwaps", WORLD, part, []) == []


def test_of_too_many_those_taken_are_spread_evenly(called) -> None:
    assert called("spread", list(range(7)), 24) == list(range(7))
    assert called("spread", list(range(10)), 4) == [0, 2, 5, 7]


@pytest.mark.parametrize(
    ("original", "edited", "pieces"),
    [
        ("sounds glad.", "sounds sad.", ["=sounds", "-glad", "+sad", "=."]),
        ("a b c", "a c", ["=a", "-b", "=c"]),
        ("a c", "a b c", ["=a", "+b", "=c"]),
        ("a  b", " a\nb ", ["=a b"]),
        ("", "a b", ["+a b"]),
        ("a b", "", ["-a b"]),
        ("", "", []),
        ("a b a b", "b a b a", ["-a", "=b a b", "+a"]),
        (f"x {FAMILY} y", f"x {FAMILY} z", [f"=x {FAMILY}", "-y", "+z"]),
        (HEBREW, HEBREW[:-4] + "!", [f"={HEBREW[:-5]}", f"-{HEBREW[-4:-1]}", "=!"]),
    ],
)
def test_a_difference_is_one_of_words(called, original, edited, pieces) -> None:
    signs = {"same": "=", "deleted": "-", "added": "+"}
    found = called("difference", original, edited)
    assert [signs[one["kind"]] + one["text"] for one in found] == pieces


@pytest.mark.parametrize("content", HOSTILE)
def test_a_difference_holds_both_texts(called, content) -> None:
    def flat(text: str) -> str:
        return "".join(text.split())

    for original, edited in ((content, WORLD), (WORLD, content), (content, content)):
        found = called("difference", original, edited)
        old = "".join(one["text"] for one in found if one["kind"] != "added")
        now = "".join(one["text"] for one in found if one["kind"] != "deleted")
        assert (flat(old), flat(now)) == (flat(original), flat(edited))
    assert all(one["kind"] == "same" for one in called("difference", content, content))


def test_two_long_texts_with_nothing_in_common_are_still_told_apart(called) -> None:
    old, now = "a b c d " * 800, "e f g h " * 800
    found = called("difference", f"x {old} y", f"x {now} y")
    assert [one["kind"] for one in found] == ["same", "deleted", "added", "same"]


def words(called: Called, name: str, *arguments: object) -> Any:
    return called(name, *arguments, module="doubt_words")


@pytest.mark.parametrize(
    ("whole", "changes", "text"),
    [
        (0.62, [-0.1, -0.51, 0.05],
         "Most of the score is in part 2: without it the score is .11 rather than .62 (\u2212.51). "
         "Without part 3 it would be higher (+.05)."),
        (0.62, [-0.2, -0.1],
         "The largest share is that of part 1: without it the score is .42 rather than .62 "
         "(\u2212.20)."),
        (-0.3, [-0.2, 0.0],
         "The mean vector scores as much or more. The most helpful is part 1: "
         "without it the score is \u2212.50 rather than \u2212.30 (\u2212.20)."),
        (0.6, [0.001, -0.004],
         "No part carries the score alone: without any one of them it changes by less than .005."),
        (0.6, [0.001, 0.2],
         "No part carries the score alone: leaving out any one of them does not lower it. "
         "Without part 2 it would be higher (+.20)."),
        (0.6, [], "It is one part: without it there would be nothing to score."),
        (None, [None, None],
         "There is no FVE here: the rows that the decoder was fitted on do not vary."),
    ],
)  # fmt: skip
def test_it_is_put_in_a_sentence_which_part_carries_the_score(called, whole, changes, text) -> None:
    assert words(called, "carried", whole, changes) == text


@pytest.mark.parametrize(
    ("change", "role"),
    [(-0.005, "carries"), (-0.0049, "nothing"), (0, "nothing"), (0.005, "misleads"), (None, None)],
)
def test_a_change_below_two_decimals_is_none(called, change, role) -> None:
    assert words(called, "roleOf", change) == role


@pytest.mark.parametrize(
    ("changes", "is_false", "without", "is_read", "text"),
    [
        ([-0.3, -0.2, 0.02], True, -0.1, True,
         "A false claim lowers the score by .16 on average (2 of 3 lower it, \u2212.30 to +.02). "
         "The score reads this claim. Leaving the part out: \u2212.10."),
        ([0.0, 0.001], True, None, False,
         "A false claim does not change the score on average (0 of 2 lower it, +.00 to +.00). "
         "The score does not read this claim."),
        ([-0.3, 0.02, 0.02], True, None, False,
         "A false claim lowers the score by .09 on average (1 of 3 lowers it, \u2212.30 to +.02). "
         "The score does not tell it from most false ones."),
        ([0.2], True, None, False,
         "A false claim raises the score by .20 on average (0 of 1 lower it). "
         "The score does not read this claim."),
        ([-0.2], False, None, True,
         "A part of another explanation lowers the score by .20 on average (1 of 1 lowers it). "
         "The score tells this part from theirs."),
        ([0.2, -0.01], False, None, False,
         "A part of another explanation raises the score by .10 on average "
         "(1 of 2 lowers it, \u2212.01 to +.20). "
         "The score does not tell this part from most of theirs."),
    ],
)  # fmt: skip
def test_it_is_put_in_a_sentence_whether_the_score_reads_a_claim(
    called, changes, is_false, without, is_read, text
) -> None:
    found = words(called, "swapped", changes, is_false, without)
    assert (found["isRead"], found["text"]) == (is_read, text)


def test_a_curve_and_a_change_can_be_read(called) -> None:
    assert words(called, "grown", [0.1, None, -0.2]) == (
        "FVE of the beginnings of the text: 1 part .10, 2 parts \u2013, 3 parts \u2212.20. "
        "0 is what the mean vector scores."
    )
    assert words(called, "changed", 0.5, 0.25) == "FVE .50 \u2192 .25, \u2212.25: lower"
    assert words(called, "changed", 0.5, 0.504) == "FVE .50 \u2192 .50, +.00: no change"
    assert words(called, "changed", None, 0.5) == "There is no FVE to compare."
