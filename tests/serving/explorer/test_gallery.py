"""Recorded examples: chosen by rule, under names that the page finds, small, and whole."""

import json
import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.explorer import naive
from tests.serving.explorer.made import made_tables
from tests.serving.explorer.recorded import DIGEST, NUM_PASSAGES, AskOf, gallery_app

from interlingua.serving.explorer.gallery import FORMAT, recording
from interlingua.serving.explorer.gallery_doubts import doubted, false_swaps
from interlingua.serving.explorer.gallery_keys import asked_key, packed
from interlingua.serving.explorer.gallery_rule import NUM_FIRST, RULE
from interlingua.serving.explorer.gallery_sites import (
    Site,
    mean_of,
    row_site,
    sentence_sites,
)
from interlingua.serving.explorer.page import page_folder
from interlingua.serving.http.wire import encoded

MOST_BYTES = 1_000_000  # of what a browser fetches before it shows anything

Asked = dict[str, Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> AskOf:
    return AskOf(gallery_app(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def made(ask: AskOf) -> dict[str, Any]:
    return recording(ask)


@pytest.fixture(scope="module")
def rows() -> list[naive.Row]:
    tables = made_tables(NUM_PASSAGES, seed=len("demo"))
    return naive.known_rows(*(table.to_pylist() for table in tables))


def unpacked(value: Any) -> Any:
    match value:
        case {"$rows": count, "$same": same, "$each": each}:
            columns = {name: unpacked(column) for name, column in each.items()}
            return [
                {**unpacked(same), **{name: column[row] for name, column in columns.items()}}
                for row in range(count)
            ]
        case dict():
            return {name: unpacked(one) for name, one in value.items()}
        case list():
            return [unpacked(one) for one in value]
    return value


def test_examples_are_chosen_by_the_rule_that_is_written_down(made, rows) -> None:
    for host in ("toy-a", "toy-b"):
        own = {"host": host, "predictor": "greedy"}
        worst = naive.found(rows, {**own, "order": "worst"})
        by_passage = naive.found(rows, {**own, "order": "passage"})
        false = naive.found(rows, {**own, "order": "passage", "claims": "any_false"})
        wanted: dict[int, list[str]] = {}
        for reason, row in (
            *(("first", row) for row in by_passage[:NUM_FIRST]),
            ("worst", worst[0]),
            ("median", worst[(len(worst) - 1) // 2]),
            ("best", naive.found(rows, {**own, "order": "best"})[0]),
            ("first false claim", false[0]),
        ):
            wanted.setdefault(row["row"], []).append(reason)
        found = {one["row"]: one["reasons"] for one in made["examples"] if one["host"] == host}
        # A token that the text does not have cannot be read again.
        assert found == {row: why for row, why in wanted.items() if row in found}
        assert all(rows[row]["position"] == 5 for row in wanted.keys() - found.keys())
        assert len(found) > NUM_FIRST
        assert made["made"]["num_rows"][host] == len(worst)
    assert {one["host"] for one in made["examples"]} == {"toy-a", "toy-b"}  # toy-c is not served
    assert "Nobody chose them" in made["made"]["rule"]


def test_a_recording_says_what_it_is_of(made) -> None:
    assert made["format"] == FORMAT
    bundles = [{"name": name, "digest": DIGEST} for name in ("toy", "toy-sft")]
    assert made["made"]["bundles"] == bundles
    assert made["made"]["evaluation"]["name"] == "demo"
    assert [one["id"] for one in made["answers"]["GET /v1/models"]["data"]] == ["toy", "toy-sft"]
    json.dumps(made, allow_nan=False)


def test_what_is_recorded_is_what_was_answered(ask, made) -> None:
    """Of every name the answer, but for digits, and vectors of which the page wants the mean."""
    checked = 0
    for path, body in list(ask.asked):
        if path.endswith(("/rows", "/activations", "/evaluations")):
            continue
        key = asked_key("GET" if body is None else "POST", path, body)
        if key in made["answers"]:
            assert unpacked(made["answers"][key]) == unpacked(packed(ask(path, body)))
            checked += 1
    assert checked > 50


def test_every_example_has_what_read_asks_for(made) -> None:
    answers = made["answers"]
    for example in unpacked(made["examples"]):
        served = {"model": "toy", "host": example["host"]}
        assert asked_key("POST", "/v1/tokens", {**served, "text": example["text"]}) in answers
        positions = Site() if example["site"] == "whole" else None
        if positions is not None:
            body: Asked = {**served, "text": example["text"]}
            for more in ({}, {"n": 4, "temperature": 1}):
                assert asked_key("POST", "/v1/roundtrip", {**body, **more}) in answers
            assert asked_key("POST", "/v1/controls", body) in answers
            assert asked_key("POST", "/v1/activations", body) in answers
        assert {one["name"] for one in example["controls"]} >= {"constant", "shuffled"}
        assert example["clauses"] is not None and example["fve_centred_train"] is not None
    kinds = {one["site"] if one["site"] == "whole" else "mean" for one in made["examples"]}
    assert kinds == {"whole", "mean"}


@pytest.mark.parametrize(
    ("models", "evaluation", "message"),
    [
        (["nobody"], None, "there is no bundle nobody; there are: toy, toy-sft"),
        (["toy-sft"], None, "no evaluation of bundle toy-sft; of it there are: none"),
        (["toy"], "other", "no evaluation other of bundle toy; of it there are: demo"),
    ],
)
def test_what_is_not_served_is_named(ask, models, evaluation, message) -> None:
    with pytest.raises(ValueError, match=message):
        recording(ask, models, evaluation)


def test_a_name_does_not_depend_on_what_says_nothing() -> None:
    plain = asked_key("POST", "/v1/roundtrip", {"model": "a", "text": "b"})
    assert plain.startswith("POST /v1/roundtrip #")
    usual = {"stream": True, "rebuilt": True, "vector_form": "base64", "passage": "b", "keys": None}
    asked = {"text": "b", "n": 1, "temperature": 0.0, "seed": 0, "model": "a", **usual}
    assert asked_key("POST", "/v1/roundtrip", asked) == plain
    for more in ({"n": 2}, {"temperature": 0.7}, {"seed": 1}, {"text": "c"}, {"positions": [1]}):
        assert asked_key("POST", "/v1/roundtrip", {"model": "a", "text": "b", **more}) != plain
    assert asked_key("GET", "/v1/x?limit=3") == asked_key("GET", "/v1/x?limit=4") == "GET /v1/x"


def test_long_bodies_have_short_names_of_their_own() -> None:
    one, other = (asked_key("POST", "/", {"text": "a" * 5000 + end}) for end in "bc")
    assert one != other and len(one) == len(other) < 40


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=30,
)


@given(json_like, st.integers(0, 7))
def test_what_is_packed_comes_out_as_it_was(value, count) -> None:
    table = [{"x": value, "y": row, "z": True} for row in range(count)]
    for given_value in (value, table, {"data": table}):
        assert unpacked(packed(given_value)) == given_value
        again = json.loads(json.dumps(packed(given_value)))
        assert _sorted(unpacked(again)) == _sorted(given_value)


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # True is 1 in Python, and not in JSON


def test_numbers_have_six_digits_and_vectors_all_of_theirs() -> None:
    vectors = encoded(np.array([[1 / 3, 2.0]]), "base64")
    answer = packed({"fve": 1 / 3, "n": 256, "is": True, "activations": vectors})
    assert answer == {"fve": 0.333333, "n": 256, "is": True, "activations": vectors}


def test_a_mean_is_added_up_in_double_precision() -> None:
    rows_ND = np.array([[1e8, 1.0], [1.0, 1.0], [-1e8, 1.0]], np.float32)
    mean = mean_of(encoded(rows_ND, "base64"))
    assert mean == encoded(np.array([[1 / 3, 1.0]]), "base64")
    assert mean_of(mean) == mean


TOKENS = [
    {"start": 0, "end": 0}, {"start": 0, "end": 3}, {"start": 3, "end": 6}, {"start": 7, "end": 9},
]  # fmt: skip


def test_a_sentence_is_of_the_tokens_that_have_a_character_of_it() -> None:
    text = "One. Two."  # the third token is of both
    assert sentence_sites(text, TOKENS, 4) == [Site(1, 2), Site(2, 3)]
    assert sentence_sites(text, TOKENS, 3) == [Site(1, 2)]
    row = {"position": 5, "span_end": 9}
    assert row_site(row, TOKENS) == Site(2, 3) and Site(2, 3).key == "2-3"
    assert row_site({"position": None, "span_end": None}, TOKENS) == Site()
    assert row_site({"position": 2, "span_end": None}, TOKENS) == Site(2)
    assert (Site().key, Site(2).key, Site(2).positions) == ("whole", "2", [2])


def test_doubt_leaves_out_each_sentence_and_reads_each_beginning() -> None:
    assert list(doubted("a b. c. d")) == [
        "a b. c. d",
        "c. d",
        "a b. d",
        "a b. c.",
        "a b.",
        "a b. c.",
    ]
    assert list(doubted("one")) == ["one"] and list(doubted(None)) == list(doubted(" ")) == []
    assert math.prod(map(len, doubted("x. " * 30))) == len("x. " * 30)


def test_claims_that_hold_are_made_false_one_by_one() -> None:
    kinds = {"topic": ["farm", "old mine"], "mood": ["glad", "sad", "calm"]}
    text = "About a Farm, a farm. sounds glad. farmers, 2glad."
    assert list(false_swaps(text, ["topic=farm", "mood=glad", "role=cook"], kinds)) == [
        "About a Old mine, a old mine. sounds glad. farmers, 2glad.",
        "About a Farm, a farm. sounds sad. farmers, 2glad.",
        "About a Farm, a farm. sounds calm. farmers, 2glad.",
    ]
    assert list(false_swaps("farm.", ["topic=farm"], kinds)) == []  # its words are swapped there


def test_the_recording_that_lies_beside_the_page_is_whole_and_small() -> None:
    path = page_folder() / "gallery" / "demo.json"
    assert path.stat().st_size < MOST_BYTES
    made = json.loads(path.read_text())
    assert made["format"] == FORMAT and made["made"]["rule"] == RULE
    examples, answers = unpacked(made["examples"]), made["answers"]
    assert len({one["host"] for one in examples}) >= 4 and len(examples) >= 20
    names = [one["name"] for one in made["made"]["bundles"]]
    for example in examples:
        ends = []
        for name in names:
            served = {"model": name, "host": example["host"]}
            assert asked_key("POST", "/v1/tokens", {**served, "text": example["text"]}) in answers
            first, last = map(int, example["site"].split("-"))
            site = {"text": example["text"], "positions": [*range(first, last + 1)]}
            vectors = answers[asked_key("POST", "/v1/activations", {**served, **site})]
            body = {**served, "activations": vectors["data"][0]["activations"]}
            greedy = unpacked(answers[asked_key("POST", "/v1/roundtrip", body)])["data"][0]
            explanation = greedy["explanations"][0]["explanation"]
            assert name != example["model"] or explanation == example["explanation"]
            assert asked_key("POST", "/v1/roundtrip", {**body, "n": 4, "temperature": 1}) in answers
            assert asked_key("POST", "/v1/controls", body) in answers
            ends.append((body, explanation))
        for (body, _), (_, explanation) in permutations(ends, 2):
            asked = {**body, "explanations": [explanation]}
            assert explanation is None or asked_key("POST", "/v1/score", asked) in answers
