"""Which tokens of one host are which of another, and what differences over sites come to."""

from typing import Any

import numpy as np
import pytest
from tests.explorer.calling import Code

TREE = "\U0001f332"
SESSIONS = """Promise.all([import("/explorer/js/compare_pairs.js"), import("/explorer/js/text.js"),
  import("/explorer/js/sites.js")]).then(([pairs, { Text }, { siteOf, keyOf }]) => {
    const [sides, prompt, site, unit] = arguments;
    const [one, other] = sides.map(({ text, spans, numRead, messages }) => ({ prompt,
      text: new Text(text), host: { tag: "toy" }, numRead: numRead ?? spans.length,
      tokens: spans.map(([start, end, index, count], position) => ({ start, end, position,
        text: [...text].slice(start, end).join("") || "<s>", section: "content",
        message_index: messages?.[position] ?? null,
        fragment_index: index ?? 0, fragment_count: count ?? 1 })) }));
    if (unit) return pairs.pairsOf(one, other, unit).map((sites) => sites.map(keyOf));
    const found = pairs.counterpart(siteOf(site, one.tokens.length), one, other);
    return found && keyOf(found);
  })"""


def side(text: str, *cuts: int, **more: Any) -> dict[str, Any]:
    """A text that is cut at some places."""
    places = [0, *cuts, len(text)]
    return {"text": text, "spans": [*map(list, zip(places, places[1:], strict=False))], **more}


def there(called: Code, site: str, one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The site of the other side that has the characters of a site of this one."""
    found: str | None = called.run(SESSIONS, [one, other], {"text": one["text"]}, site)
    return found


WORDS = side("the farmer sings", 3, 10)  # the| farmer| sings
PIECES = side("the farmer sings", 4, 8, 10, 11)  # "the "|farm|er| |sings


@pytest.mark.parametrize(
    ("site", "expected", "back"),
    [
        ("0", "0", "0"),
        ("1", "1-2", "1"),
        ("2", "4", "2"),  # the token of a blank alone is left out
        ("0-1", "0-2", "0-1"),
        ("0-2", "0-4", "0-2"),
        ("whole", "whole", "whole"),
    ],
)
def test_a_site_is_the_one_of_the_same_characters(called, site, expected, back) -> None:
    assert there(called, site, WORDS, PIECES) == expected
    assert there(called, expected, PIECES, WORDS) == back


def test_a_part_of_a_word_is_the_word_where_it_is_one_token(called) -> None:
    assert there(called, "2", PIECES, WORDS) == "1"
    assert there(called, "3", PIECES, WORDS) == "2"  # a blank is in the token that has it


def test_characters_are_code_points(called) -> None:
    text = f"{TREE}{TREE} \u05e9\u05dc\u05d5\u05dd a"
    assert there(called, "1", side(text, 2, 7), side(text, 1, 2, 3, 5, 7, 8)) == "3-4"


def test_fragments_of_a_character_are_one_token(called) -> None:
    whole = side(f"a{TREE}b", 1, 2)
    bytes_of = {"text": whole["text"], "spans": [[0, 1], [1, 2, 0, 2], [1, 2, 1, 2], [2, 3]]}
    assert there(called, "1", whole, bytes_of) == "2"
    assert there(called, "2", bytes_of, whole) == "1"


def test_what_is_behind_what_a_host_reads_is_nowhere(called) -> None:
    assert there(called, "2", WORDS, PIECES | {"numRead": 4}) is None
    assert there(called, "0", WORDS, PIECES | {"numRead": 4}) == "0"


def test_a_token_of_no_characters_is_the_one_of_its_name(called) -> None:
    begun = {"text": WORDS["text"], "spans": [[0, 0], *WORDS["spans"]]}
    assert there(called, "0", begun, WORDS) is None
    other = {"text": PIECES["text"], "spans": [[0, 0], *PIECES["spans"]]}
    assert there(called, "0", begun, other) == "0"


def test_a_difference_is_one_of_tokens_on_both_sides(called) -> None:
    assert there(called, "0:2", WORDS, PIECES) == "0:4"
    assert there(called, "0:1", WORDS, PIECES) is None  # the second is two tokens there


def test_of_chats_the_messages_are_what_is_shared(called) -> None:
    messages = [{"role": "user", "content": "user hi "}, {"role": "assistant", "content": "user"}]
    places = [None, 0, 0, None, 1]
    one = side("<user>user hi</user>user", 6, 10, 13, 20, messages=places)
    other = side("user: user hi\nbot: user", 6, 10, 13, 19, messages=places)

    def found(site: str) -> str | None:
        answer: str | None = called.run(SESSIONS, [one, other], {"messages": messages}, site)
        return answer

    assert [found(site) for site in "01234"] == [None, "1", "2", None, "4"]


def test_pairs_are_sentences_and_the_tokens_that_both_cut_alike(called) -> None:
    text = "The end. So it is"
    one, other = side(text, 3, 7, 8, 11, 14), side(text, 3, 5, 7, 8, 11, 14)
    assert called.run(SESSIONS, [one, other], {"text": text}, None, "token") == [
        ["0", "0"], ["2", "3"], ["3", "4"], ["4", "5"], ["5", "6"],
    ]  # fmt: skip
    assert called.run(SESSIONS, [one, other], {"text": text}, None, "sentence") == [
        ["0-2", "0-3"], ["3-5", "4-6"],
    ]  # fmt: skip


def test_a_summary_counts_and_is_the_same_every_time(called) -> None:
    pairs = [[0.1, 0.3], [0.2, 0.2], [0.4, 0.404], [0.9, 0.5], [-1.0, 0.0], [0.0, 0.5]]
    found = called("compare_stats", "summary", pairs)
    differences = np.diff(np.array(pairs), axis=1)[:, 0]
    assert found["n"] == 6
    assert found["mean"] == pytest.approx(differences.mean())
    assert (found["one"], found["other"]) == pytest.approx(tuple(np.mean(pairs, axis=0)))
    assert (found["wins"], found["losses"], found["ties"]) == (3, 1, 2)
    assert called("compare_stats", "summary", pairs) == found


def test_the_interval_is_the_bootstraps(called) -> None:
    values = np.random.default_rng(0).normal(0.2, 1.0, size=60)
    low, high = called("compare_stats", "interval", values.tolist())
    draws = np.random.default_rng(1).integers(0, 60, size=(20_000, 60))
    expected = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    assert [low, high] == pytest.approx(expected, abs=0.02)
    assert called("compare_stats", "interval", [2.0] * 7) == [2.0, 2.0]


def test_of_few_sites_there_is_no_interval(called) -> None:
    found = called("compare_stats", "summary", [[0.0, 1.0]] * 4)
    assert (found["mean"], found["low"], found["high"]) == (1.0, None, None)
    assert called("compare_stats", "summary", [[0.0, 1.0]] * 5)["low"] == 1.0
