"""Scored rows: what was written is what is read, and rows open to training are not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlingua.specs.splits import Split
from interlingua.store.integrity import CorruptFile
from interlingua.store.rows.scored import (
    NUMBERS,
    ROWS_FOLDER,
    SCHEMA,
    EvaluatedPassage,
    Scored,
    host_path,
    joined,
    read_evaluated,
    read_scored,
    write_evaluated,
    write_scored,
)
from interlingua.store.rows.splits import SplitViolation


def part(**changes):
    made = {
        "host": "gpt2", "role": "trained", "predictor": "sampled", "split": "test",
        "passage_id": ["a", "a", "b"], "position": np.array([3, 5, -1]),
        "text": ["one", "two", "three"], "explanation": ["one", None, ""],
        "said": [["topic=farm", "mood=calm"], [], ["topic=school"]],
        "true": [["topic=farm"], [], []],
        "is_failed": [False, True, False], "nmse": [0.1, 2.0, 1 / 3],
        "sample": np.array([0, 1, 0]), "rank": np.array([1, 2, 3]),
    }  # fmt: skip
    return {**made, **changes}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ROWS_FOLDER).mkdir()
    return tmp_path


def stored(folder, *parts, host="gpt2"):
    write_scored(host_path(folder, host), joined(parts))
    return read_scored(folder)


def assert_same(left, right):
    assert left.columns.keys() == right.columns.keys() == set(SCHEMA.names)
    for name in SCHEMA.names:
        kinds = left[name].dtype.kind, right[name].dtype.kind
        assert kinds[0] == kinds[1], name
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_rows_are_read_as_they_were_written(folder):
    parts = part(), part(predictor="greedy", cos=np.array([1e-300, np.nan, np.inf]))
    assert_same(stored(folder, *parts), joined(parts))


def test_lists_of_one_length_stay_lists(folder):
    """Numpy would make a table of them."""
    rows = stored(folder, part(said=[["topic=farm"], ["topic=farm"], ["topic=farm"]]))
    assert rows["said"].shape == (3,) and rows["said"].tolist() == [["topic=farm"]] * 3
    assert rows.where(rows["position"] == 5)["said"].tolist() == [["topic=farm"]]


def test_what_a_predictor_does_not_say_is_null_or_nan(folder):
    names = ("host", "role", "predictor", "split", "passage_id", "position")
    rows = stored(folder, {name: part()[name] for name in names}, part())
    assert rows["text"].tolist()[:4] == [None, None, None, "one"]
    assert rows["said"].tolist()[2:4] == [None, ["topic=farm", "mood=calm"]]
    assert rows["explanation"].tolist()[3:] == ["one", None, ""]
    assert np.isnan(rows["nmse"][:3]).all() and rows["nmse"].tolist()[3:] == [0.1, 2.0, 1 / 3]
    assert all(np.isnan(rows[name]).all() for name in NUMBERS if name != "nmse")
    assert rows["rank"].tolist() == [-1, -1, -1, 1, 2, 3]
    assert rows["is_failed"].dtype == bool and not rows["is_failed"][:3].any()


@pytest.mark.parametrize("split", [s for s in Split if s not in {Split.DEV, Split.TEST}])
def test_one_row_that_was_open_to_training_spoils_all(split, folder):
    parts = part(), part(split=split.value, passage_id=["c"] * 3)
    with pytest.raises(SplitViolation, match=f"holds rows of {split}.*dev or test only"):
        stored(folder, *parts)


@pytest.mark.parametrize("split", [None, "", "Test"])
def test_rows_of_no_known_split_are_refused(split, folder):
    with pytest.raises(SplitViolation, match="numbers may be made of dev or test only"):
        stored(folder, part(split=[split] * 3))


def test_the_rows_of_all_hosts_are_read_whatever_their_files_are_called(folder):
    for host in ("zeta", "alpha"):
        write_scored(host_path(folder, host), joined([part(host=host, role=host[0])]))
    rows = read_scored(folder)
    assert rows.hosts() == {"alpha": "a", "zeta": "z"} and len(rows) == 6
    assert len(rows.of("alpha", "sampled")) == 3 and len(rows.of("alpha", "greedy")) == 0
    assert isinstance(rows.of("alpha", "sampled"), Scored)


def test_predictors_come_in_their_fixed_order():
    rows = joined([part(predictor="constant_vector"), part(predictor="greedy"), part()])
    assert rows.predictors() == ["sampled", "greedy", "constant_vector"]


def test_a_folder_without_rows_says_so(folder):
    with pytest.raises(ValueError, match="holds no scored rows"):
        read_scored(folder)


def test_columns_of_another_length_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        joined([part(nmse=np.zeros(2))])


def test_a_column_of_another_kind_is_refused(folder):
    write_scored(host_path(folder, "gpt2"), joined([part()]))
    path = host_path(folder, "gpt2")
    table = pq.read_table(path)
    place = table.schema.get_field_index("nmse")
    pq.write_table(table.set_column(place, "nmse", pa.array(["low", "high", "none"])), path)
    with pytest.raises(CorruptFile, match=f"{path} cannot be read"):
        read_scored(folder)


def test_passages_are_read_as_they_were_written(tmp_path):
    passages = [
        EvaluatedPassage(passage_id="a", text='a, "text"\nof lines', facts={"topic": "farm"}),
        EvaluatedPassage(passage_id="b", text="", facts={}),
    ]
    write_evaluated(tmp_path, iter(passages))
    assert list(read_evaluated(tmp_path)) == passages
