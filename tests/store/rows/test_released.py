"""Small files in the released layout: read back bit for bit, or refused with what is wrong."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from interlingua.store.contract.file import SidecarError
from interlingua.store.rows import released
from interlingua.store.rows.released import (
    ReleaseMismatch,
    open_released,
    released_batches,
    released_header,
    released_vectors,
)
from interlingua.store.rows.splits import passage_id

D = 3
FIXED = pa.list_(pa.float32(), D)
LISTS = {"fixed": FIXED, "list": pa.list_(pa.float32()), "large": pa.large_list(pa.float32())}


def columns(num_rows, vector_type=FIXED, vectors=None):
    if vectors is None:
        vectors = [[float(row), row + 0.5, -1.0] for row in range(num_rows)]
    return {
        "n_raw_tokens": pa.array(range(51, 51 + num_rows), pa.int64()),
        "detokenized_text_truncated": pa.array([f"text {row}" for row in range(num_rows)]),
        "activation_vector": pa.array(vectors, vector_type),
        "activation_layer": pa.array([20] * num_rows, pa.int64()),
        "doc_id": pa.array([f"corpus:train:{row // 2}" for row in range(num_rows)]),
    }


def released_file(path, table, rows_per_group=None, extraction=(), **changed):
    pq.write_table(pa.table(table), path, row_group_size=rows_per_group)
    stated = {"base_model": "Qwen/Qwen2.5-7B-Instruct", "d_model": D, "layer_index": 20}
    sidecar = {
        "kind": "nla_dataset",
        "schema_version": 1,
        "stage": "base",
        "extraction": {**stated, "norm": "none", **dict(extraction)},
        **changed,
    }
    path.with_name(f"{path.name}.nla_meta.yaml").write_text(yaml.safe_dump(sidecar))
    return path


def read(path):
    return list(released_batches(open_released(path)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "base.parquet"


@pytest.mark.parametrize("kind", LISTS)
@given(data=st.data())
def test_rows_come_back_bit_for_bit(tmp_path_factory, kind, data):
    path = tmp_path_factory.mktemp("released") / "base.parquet"
    number = st.floats(width=32)
    vector = st.lists(number, min_size=D, max_size=D)
    vector = vector if kind == "fixed" else st.none() | vector
    vectors = data.draw(st.lists(vector, min_size=1, max_size=12))
    rows_per_group = data.draw(st.integers(1, 12))
    wanted = data.draw(st.sets(st.sampled_from(range(len(vectors)))))
    wanted = sorted(row for row in wanted if vectors[row] is not None)
    batch_bytes, released.BATCH_BYTES = released.BATCH_BYTES, 4 * D * data.draw(st.integers(1, 5))
    try:
        released_file(path, columns(len(vectors), LISTS[kind], vectors), rows_per_group)
        batches = read(path)
        blocks = list(released_vectors(open_released(path), np.array(wanted, np.int64)))
    finally:
        released.BATCH_BYTES = batch_bytes

    stored_VD = np.array([v for v in vectors if v is not None], np.float32).reshape(-1, D)
    found_VD = np.concatenate([batch.vectors_VD for batch in batches])
    assert found_VD.tobytes() == stored_VD.tobytes()
    has_vector = np.concatenate([batch.has_vector_N for batch in batches])
    assert has_vector.tolist() == [v is not None for v in vectors]
    assert [b.first_row for b in batches] == np.cumsum(
        [0, *(len(b.document_ids) for b in batches)]
    )[:-1].tolist()

    assert [row for block, _ in blocks for row in wanted[block]] == wanted
    asked_WD = np.array([vectors[row] for row in wanted], np.float32).reshape(-1, D)
    assert b"".join(part.tobytes() for _, part in blocks) == asked_WD.tobytes()


def test_vectors_without_holes_are_not_copied(path):
    released_file(path, columns(50))
    for batch in read(path):
        assert not batch.vectors_VD.flags.owndata
        assert not batch.vectors_VD.flags.writeable  # a view of arrow's memory
    for _, vectors_ND in released_vectors(open_released(path), np.arange(50)):
        assert not vectors_ND.flags.writeable


def test_keys_are_of_the_text_or_else_of_the_document(path):
    table = columns(4)
    table["detokenized_text_truncated"] = pa.array(["one", None, "two", None])
    [batch] = read(released_file(path, table))
    expected = ["one", "corpus:train:0", "two", "corpus:train:1"]
    assert batch.passage_ids_N.astype(str).tolist() == [passage_id(told) for told in expected]
    del table["detokenized_text_truncated"]
    [batch] = read(released_file(path, table))
    assert batch.passage_ids_N.astype(str).tolist() == [passage_id(d) for d in batch.document_ids]
    assert batch.num_tokens_N.tolist() == [51, 52, 53, 54]


@pytest.mark.parametrize("kind", LISTS)
def test_a_vector_with_a_hole_counts_as_none(path, kind):
    vectors = [[1, 2, 3], [4, None, 6], [0, 0, None] if kind == "fixed" else None, [7, 8, 9]]
    [batch] = read(released_file(path, columns(4, LISTS[kind], vectors)))
    assert batch.has_vector_N.tolist() == [True, False, False, True]
    assert batch.vectors_VD.tolist() == [[1, 2, 3], [7, 8, 9]]


def test_a_null_vector_of_fixed_size_is_refused(path):
    released_file(path, columns(2, vectors=[[1, 2, 3], None]))
    with pytest.raises(ReleaseMismatch, match="must not be null"):
        read(path)


def test_asking_for_a_row_without_a_vector_is_refused(path):
    vectors = [[1, 2, 3], None, [7, 8, 9]]
    file = open_released(released_file(path, columns(3, LISTS["list"], vectors)))
    with pytest.raises(ReleaseMismatch, match="has no vector"):
        list(released_vectors(file, np.array([0, 1])))


def test_the_header_says_what_the_sidecar_says(path):
    file = open_released(released_file(path, columns(2), extraction={"revision": "0a1b"}))
    header = released_header(file, "qwen2p5-7b")
    assert (header.host_tag, header.host_revision) == ("qwen2p5-7b", "0a1b")
    assert (header.block_index, header.read_mode) == (20, "token")
    file = open_released(released_file(path, columns(2)))
    assert released_header(file, "qwen2p5-7b").host_revision == ""


def test_one_large_row_group_is_read_in_bounded_batches(path, monkeypatch):
    monkeypatch.setattr(released, "BATCH_BYTES", 4 * D * 7)
    released_file(path, columns(100))
    assert pq.ParquetFile(path).num_row_groups == 1
    assert max(len(batch.document_ids) for batch in read(path)) <= 7


@pytest.mark.parametrize("norm", ["sqrt_d_model", "unit"])
def test_vectors_that_are_not_raw_are_refused(path, norm):
    released_file(path, columns(2), extraction={"norm": norm})
    with pytest.raises(SidecarError, match="vectors are stored raw"):
        open_released(path)


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("stage 'av_sft'", {"stage": "av_sft"}),
        ("ModelSidecar", {"kind": "nla_model", "role": "av", "d_model": D}),
        ("states 7", {"row_count": 7}),
        ("layer_index", {"extraction": {"layer_index": None}}),
        ("3 wide, the sidecar says 4", {"extraction": {"d_model": 4}}),
    ],
)
def test_a_sidecar_of_something_else_is_refused(path, told, change):
    released_file(path, columns(2), **change)
    with pytest.raises(ReleaseMismatch, match=told):
        open_released(path)


def test_a_file_without_a_sidecar_is_refused(path):
    released_file(path, columns(2))
    path.with_name("base.parquet.nla_meta.yaml").unlink()
    with pytest.raises(SidecarError, match="no usable sidecar"):
        open_released(path)


@pytest.mark.parametrize(
    ("told", "name", "column"),
    [
        ("lacks the columns doc_id", "doc_id", None),
        ("doc_id is int64", "doc_id", pa.array([1, 2])),
        ("n_raw_tokens is double", "n_raw_tokens", pa.array([51.0, 52.0])),
        ("must be a list of float32", "activation_vector", pa.array([[1.0] * D] * 2)),
        ("must be a list of float32", "activation_vector", pa.array([1, 2], pa.float32())),
    ],
)
def test_other_columns_are_refused(path, told, name, column):
    table = columns(2)
    table.pop(name)
    released_file(path, table if column is None else {**table, name: column})
    with pytest.raises(ReleaseMismatch, match=told):
        open_released(path)


@pytest.mark.parametrize(
    ("told", "name", "column"),
    [
        ("also 21", "activation_layer", pa.array([20, 21])),
        ("also None", "activation_layer", pa.array([20, None])),
        ("doc_id is null", "doc_id", pa.array(["a", None])),
        ("1 or more", "n_raw_tokens", pa.array([51, 0])),
        ("1 or more", "n_raw_tokens", pa.array([51, None])),
        ("the sidecar says 3", "activation_vector", pa.array([[1, 2, 3], [4]], LISTS["list"])),
    ],
)
def test_rows_that_break_the_layout_are_refused(path, told, name, column):
    released_file(path, {**columns(2), name: column})
    with pytest.raises(ReleaseMismatch, match=told):
        read(path)
