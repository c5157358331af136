"""Rows of a file find their passages by number or by an index, or what is wrong is said."""

import hashlib
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.sources.activation_file import check_reading, opened
from interlingua.sources.joined_rows import joined
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import Split
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.splits import passage_id

H_ND = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
TOKENS = TokenPositions(per_passage=2, min_position=0, seed=0)


def passage(number, split=Split.FIT, row_id=None):
    identity = passage_id(f"text {number}")
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=split,
        text=f"text {number}",
        facts={},
        mentions=(),
        row_id=str(number) if row_id is None else row_id,
    )


PASSAGES = [passage(number) for number in (7, 2, 5)]


def save(path, h_ND):
    np.save(path, h_ND)
    return path


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spec_of(path, index=None, **changed):
    if index is not None:
        where = path.with_name("index.jsonl")
        where.write_text("".join(json.dumps(row) + "\n" for row in index))
        changed["index"], changed["index_sha256"] = str(where), sha256_of(where)
    return ActivationFile(path=str(path), sha256=sha256_of(path), **changed)


def rows_of(spec, passages=PASSAGES, splits=(Split.FIT,), num_texts=None):
    vectors = opened(spec, 3)
    return vectors, joined(spec, vectors, lambda: passages, splits, num_texts=num_texts)


def line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_without_an_index_vector_i_is_of_text_i(tmp_path):
    vectors, rows = rows_of(spec_of(save(tmp_path / "h.npy", H_ND)), num_texts=10)
    assert rows.numbers_N.tolist() == [2, 5, 7]
    by_number = {number: passage(number).passage_id for number in (2, 5, 7)}
    assert rows.passage_ids_N.astype(str).tolist() == list(by_number.values())
    assert rows.positions_N.tolist() == [-1] * 3
    assert rows.counts == {"num_passages": 3, "num_without_rows": 0, "num_of_other_rows": 7}


INDEX = [{"id": f"r{number}"} for number in (5, 9, 7, 1)]
NAMED = [passage(number, row_id=f"r{number}") for number in (7, 2, 5)]


def test_an_index_says_of_which_text_a_vector_is(tmp_path):
    path = save(tmp_path / "h.npy", H_ND[:4])
    _, rows = rows_of(spec_of(path, INDEX), NAMED)
    assert rows.numbers_N.tolist() == [0, 2]
    ids = [passage(number).passage_id for number in (5, 7)]
    assert rows.passage_ids_N.astype(str).tolist() == ids
    assert rows.counts == {"num_passages": 3, "num_without_rows": 1, "num_of_other_rows": 2}


def test_an_index_of_positions_gives_several_rows_a_passage(tmp_path):
    index = [{"id": "r5", "at": 3}, {"id": "r5", "at": 9}, {"id": "x", "at": 0}]
    spec = spec_of(save(tmp_path / "h.npy", H_ND[:3]), index, position_field="at")
    check_reading(spec, TOKENS)
    _, rows = rows_of(spec, NAMED)
    assert rows.positions_N.tolist() == [3, 9]
    assert rows.some(5).numbers_N.tolist() == [0]


def test_mistakes_without_an_index(tmp_path):
    spec = spec_of(save(tmp_path / "h.npy", H_ND))
    with pytest.raises(ValueError, match="h.npy has 10 vectors, the corpus 8 texts.*index") as one:
        rows_of(spec, num_texts=8)
    with pytest.raises(ValueError, match="h.npy has 10 vectors and none of text 12") as two:
        rows_of(spec, [passage(12)])
    with pytest.raises(ValueError, match="a text has the id 'r7', which is no number") as three:
        rows_of(spec, NAMED)
    with pytest.raises(ValueError, match="a text has the id '²'") as four:
        rows_of(spec, [passage(1, row_id="²")])
    assert all(map(line, (one, two, three, four)))


@pytest.mark.parametrize(
    ("index", "changed", "words"),
    [
        (INDEX[:3], {}, r"index.jsonl has 3 rows, .*h.npy 4 vectors: row i of the index"),
        ([*INDEX, {"id": "r2"}], {}, r"index.jsonl has 5 rows, .*h.npy 4 vectors"),
        ([{"id": f"q{i}"} for i in range(4)], {}, r"none of the 4 rows of .* a row has id 'q0', a "
         r"passage the id 'r7'. Name in ActivationFile.id_field"),
        ([*INDEX[:3], {"id": "r7"}], {}, r"index.jsonl, line 4: vectors 2 and 3 are both of id "
         r"'r7'; leave one"),
        ([{"id": "r7", "at": 2}] * 4, {"position_field": "at"}, r"line 2: vectors 0 and 1 are both "
         r"of id 'r7' at position 2"),
        ([{"id": "r7", "at": -1}] * 4, {"position_field": "at"}, r"line 1: at is -1, the whole"),
        ([{"id": "r7", "at": 2.0}] * 4, {"position_field": "at"}, r"line 1: at is float; a pos"),
        ([{"row": "r7"}] * 4, {}, r"has no field 'id'; name in id_field one that it has: row"),
        ([{"id": None}] * 4, {}, r"line 1: id is null; an id is a text or a whole number"),
    ],
)  # fmt: skip
def test_mistakes_of_an_index(tmp_path, index, changed, words):
    spec = spec_of(save(tmp_path / "h.npy", H_ND[:4]), index, **changed)
    with pytest.raises(ValueError, match=words) as error:
        rows_of(spec, NAMED)
    assert line(error)


def test_a_split_without_rows_is_named(tmp_path):
    both = (Split.FIT, Split.DEV)
    path = save(tmp_path / "h.npy", H_ND[:4])
    with pytest.raises(ValueError, match="split dev came out empty: no vector .*passages.split"):
        rows_of(spec_of(path, INDEX), [*NAMED, passage(6, Split.DEV, "r6")], both)
    with pytest.raises(ValueError, match="split dev has no passage; give it a share"):
        rows_of(spec_of(path, INDEX), NAMED, both)


def test_an_id_of_two_texts_is_refused(tmp_path):
    path = save(tmp_path / "h.npy", H_ND)
    with pytest.raises(ValueError, match="two texts have the id '7'.*an id of its own"):
        rows_of(spec_of(path), [passage(7), passage(8, row_id="7")])


def test_one_number_written_twice_is_of_two_texts(tmp_path):
    spec = spec_of(save(tmp_path / "h.npy", H_ND))
    with pytest.raises(ValueError, match="two texts have the id '007'"):
        rows_of(spec, [passage(7), passage(8, row_id="007")])


def test_an_index_that_changed_since_it_was_pinned_is_refused(tmp_path):
    spec = spec_of(save(tmp_path / "h.npy", H_ND[:4]), INDEX)
    (tmp_path / "index.jsonl").write_text(json.dumps({"id": "r7"}))
    with pytest.raises(ValueError, match="ActivationFile.index: .*they have changed"):
        rows_of(spec, NAMED)


@given(
    named=st.lists(st.text(max_size=3), unique=True, min_size=1),
    index=st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3)), unique=True, min_size=1),
)
def test_any_names_are_joined_as_a_dictionary_would(tmp_path_factory, named, index):
    folder = tmp_path_factory.mktemp("joined")
    passages = [passage(number, row_id=name) for number, name in enumerate(named)]
    id_of = {one.row_id: one.passage_id for one in passages}
    expected = [(n, id_of[i], at) for n, (i, at) in enumerate(index) if i in id_of]
    rows = [{"id": name, "at": at} for name, at in index]
    path = save(folder / "h.npy", np.ones((len(index), 1), np.float32))
    spec = spec_of(path, rows, position_field="at")
    if not expected:
        with pytest.raises(ValueError, match="none of the"):
            rows_of(spec, passages)
        return
    _, found = rows_of(spec, passages)
    ids = found.passage_ids_N.astype(str).tolist()
    columns = (found.numbers_N.tolist(), ids, found.positions_N.tolist())
    assert list(zip(*columns, strict=True)) == expected


@pytest.mark.parametrize("has_index", [False, True])
def test_joining_holds_some_bytes_a_row(tmp_path, has_index):
    # First a few: what is imported on the way is no row's.
    sizes = (1, 4_000, 24_000)
    _, less, more = (peak_of_joining(tmp_path, num_rows, has_index) for num_rows in sizes)
    assert more - less < 100 * 20_000


def peak_of_joining(folder, num_rows, has_index):
    """The most bytes that are held at once while so many rows are joined to as many passages."""
    index = [{"id": str(number)} for number in range(num_rows)] if has_index else None
    spec = spec_of(save(folder / "h.npy", np.zeros((num_rows, 1), np.float32)), index)
    vectors, one = opened(spec, 3), passage(0)

    def passages():
        for number in range(num_rows):
            yield replace(one, passage_id=f"{number:016x}", row_id=str(number))

    tracemalloc.start()
    try:
        rows = joined(spec, vectors, passages, (Split.FIT,), num_texts=None)
        assert len(rows.numbers_N) == num_rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
