"""What is found, in which order, is what a row at a time gives."""

import math
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.explorer import naive
from tests.serving.explorer.made import HOSTS, KINDS, SAMPLES, WORDS, made_tables

from interlingua.serving.backend import Refused
from interlingua.serving.explorer.finding import found_passages, found_rows, words_of
from interlingua.serving.explorer.requests import RowsRequest
from interlingua.serving.explorer.shown import beside, rows_of, summary_of
from interlingua.serving.explorer.table import RowTable

NUM_PASSAGES = 90  # 2,000 rows


@cache
def table_and_rows(num_passages: int = NUM_PASSAGES) -> tuple[RowTable, list[naive.Row]]:
    rows, passages = made_tables(num_passages)
    return RowTable.of(rows, passages), naive.known_rows(rows.to_pylist(), passages.to_pylist())


SEARCHED = st.lists(
    st.sampled_from([*WORDS, "ar", "A", '"glad sad"', '"farm mine"', ".", "x" * 200]), max_size=3
).map(" ".join)
FVES = st.none() | st.sampled_from([-3.0, -1.0, 0.0, 0.5, 1.0]) | st.floats(-4, 2)
FACTS = [f"{kind}={value}" for kind, values in KINDS.items() for value in values]
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from([None, *HOSTS]),
        "predictor": st.sampled_from([None, *(one.value for one in SAMPLES)]),
        "search": st.none() | SEARCHED,
        "field": st.sampled_from(["explanation", "passage", "both"]),
        "facts": st.none() | st.lists(st.sampled_from(FACTS), max_size=3),
        "claims": st.sampled_from(["all", "any_false", "all_true"]),
        "min_fve": FVES,
        "max_fve": FVES,
        "is_failed": st.sampled_from([None, True, False]),
        "is_same_passage": st.none() | st.integers(0, NUM_PASSAGES - 1),
        "order": st.sampled_from(["worst", "best", "passage", "longest", "most_false"]),
    },
)


def with_passage(asked: dict, rows: list[naive.Row]) -> dict:
    """A request for a passage by its place, with its id."""
    place = asked.get("is_same_passage")
    if place is None:
        return asked
    return {**asked, "is_same_passage": sorted({row["passage_id"] for row in rows})[place]}


@settings(max_examples=300)
@given(ASKED)
def test_rows_and_their_order_are_those_of_a_row_at_a_time(asked) -> None:
    table, rows = table_and_rows()
    asked = with_passage(asked, rows)
    expected = naive.found(rows, asked)
    got = found_rows(table, RowsRequest(**asked))
    assert got.tolist() == [row["row"] for row in expected]
    assert summary_of(table, got) == pytest.approx(naive.summary(expected))


def test_bounds_are_within() -> None:
    table, rows = table_and_rows()
    known = {row["fve"] for row in rows if not math.isnan(row["fve"])}
    for bound in sorted(known)[::200]:
        found = found_rows(table, RowsRequest(min_fve=bound, max_fve=bound)).tolist()
        assert found and {rows[row]["fve"] for row in found} == {bound}


@pytest.mark.slow
def test_rows_of_a_large_evaluation_are_too() -> None:
    table, rows = table_and_rows(4500)
    assert len(table) > 95_000
    for asked in (
        {},
        {"search": "glad farm", "field": "both", "order": "best"},
        {"facts": ["topic=farm", "mood=sad"], "claims": "any_false", "order": "most_false"},
        {"predictor": "sampled", "host": "toy-b", "order": "longest"},
    ):
        expected = naive.found(rows, asked)
        got = found_rows(table, RowsRequest(**asked))
        assert len(expected) > 1000
        assert got.tolist() == [row["row"] for row in expected]


@given(st.integers(0, 2000))
def test_a_row_shows_what_is_stored(number) -> None:
    table, rows = table_and_rows()
    row = rows[number % len(rows)]
    (shown,) = rows_of(table, [row["row"]])
    assert shown["row"] == row["row"]
    for name in ("host", "role", "predictor", "passage_id", "document_id", "sample", "is_failed"):
        assert shown[name] == row[name]
    for name in ("position", "span_end", "rank", "num_rivals", "num_tokens"):
        assert shown[name] == (None if row[name] == -1 else row[name])
    for name, stored in (
        ("nmse", "nmse"),
        ("cosine", "cos"),
        ("fve_centred_own", "fve"),
        ("log_prob", "log_prob"),
    ):
        assert shown[name] == (None if np.isnan(row[stored]) else row[stored])
    assert (shown["text"], shown["explanation"]) == (row["passage"], row["explanation"])
    assert shown["raw_text"] == row["text"]
    assert [(one["fact"], one["is_true"]) for one in shown["claims"]] == row["claims"]
    assert sorted(shown["facts"]) == sorted(row["facts"]) != []


@given(st.integers(0, 2000))
def test_what_stands_beside_a_row(number) -> None:
    table, rows = table_and_rows()
    number %= len(rows)
    assert sorted(beside(table, number)) == naive.beside(rows, number)


def test_other_samples_stand_beside_a_sample_only_where_they_are_the_same() -> None:
    table, rows = table_and_rows()
    second = next(n for n, r in enumerate(rows) if r["predictor"] == "sampled" and r["sample"] == 1)
    samples = {row["predictor"]: row["sample"] for row in rows_of(table, beside(table, second))}
    assert samples["shuffled_explanations"] == 1 and samples["greedy"] == 0
    assert "sampled" not in samples


@given(st.data())
def test_any_piece_of_a_text_finds_it(data) -> None:
    texts = data.draw(st.lists(st.text(max_size=12), min_size=1, max_size=5))
    rows, passages = made_tables(len(texts))
    column = pa.array(texts, pa.string())
    passages = passages.set_column(1, "text", column)
    table = RowTable.of(rows, passages)
    text = data.draw(st.sampled_from(texts))
    begin = data.draw(st.integers(0, len(text)))
    piece = text[begin : data.draw(st.integers(begin, len(text)))].replace('"', "")
    searched = f'"{piece}"' if piece else ""
    if piece in text:
        found = found_passages(table.passages, searched)
        assert text in [table.passages.texts.known[int(place)].as_py() for place in found]


def test_words_and_phrases_of_a_search() -> None:
    assert words_of(None) == words_of("") == words_of("  \n ") == []
    assert words_of('Farm "glad  Sad" x"y "open end') == [
        "farm",
        "glad  sad",
        'x"y',
        '"open',
        "end",
    ]
    assert words_of("a.* [b] \0 %_") == ["a.*", "[b]", "\0", "%_"]
    with pytest.raises(Refused, match="17 words; at most 16") as refused:
        words_of("a " * 17)
    assert refused.value.field == "search"


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"host": "toy-z"}, "host", "there are: toy-a, toy-b, toy-c"),
        ({"predictor": "oracle"}, "predictor", "there are: sampled, greedy"),
        ({"is_same_passage": "zz"}, "is_same_passage", "no row is of such a passage"),
        ({"facts": ["topic=farm", "colour=red"]}, "facts[1]", "'colour'; there are: mood, topic"),
        ({"facts": ["topic=red"]}, "facts[0]", "'red'; there are: farm, mine, sea=side"),
        ({"facts": ["topic"]}, "facts[0]", "''; there are: farm"),
    ],
)
def test_what_is_not_known_is_named(asked, field, words) -> None:
    with pytest.raises(Refused) as refused:
        found_rows(table_and_rows()[0], RowsRequest(**asked))
    assert refused.value.field == field and words in str(refused.value)


def test_the_mean_over_a_host_and_predictor_is_its_ratio_of_sums() -> None:
    rows, passages = made_tables(40)
    nmse = pa.array([0.5 if np.isnan(one) else one for one in rows["nmse"].to_pylist()])
    rows = rows.set_column(rows.schema.get_field_index("nmse"), "nmse", nmse)
    table = RowTable.of(rows, passages)
    own = [
        row
        for row in rows.to_pylist()
        if (row["host"], row["predictor"]) == ("toy-b", "nearest_explanation")
    ]
    expected = 1 - sum(row["nmse"] for row in own) / sum(row["own_variance"] for row in own)
    asked = RowsRequest(host="toy-b", predictor="nearest_explanation")
    found = summary_of(table, found_rows(table, asked))
    assert found["num_rows"] == len(own)
    assert found["mean_fve_centred_own"] == pytest.approx(expected)


def test_an_evaluation_without_facts_has_no_claims() -> None:
    rows, passages = made_tables(6)
    for name in ("said", "true"):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.nulls(len(rows), rows.schema.field(name).type))
    table = RowTable.of(rows, passages)
    found = found_rows(table, RowsRequest())
    assert len(found) == len(rows) and table.facts.kinds == {}
    assert summary_of(table, found)["false_share"] is None
    assert len(found_rows(table, RowsRequest(claims="any_false"))) == 0
    assert rows_of(table, [0])[0]["claims"] == rows_of(table, [0])[0]["facts"] == []
