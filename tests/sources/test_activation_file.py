"""Vectors of files come as they were stored, or are refused in words."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from interlingua.sources import vector_column
from interlingua.sources.activation_file import BadRows, check_reading, opened
from interlingua.sources.files import files_of, sha256_of_files
from interlingua.sources.vector_file import SUFFIXES, opened_vectors
from interlingua.specs.extraction import LastToken, Pooled, Spans, TokenPositions
from interlingua.specs.models import ActivationFile

D = 4
H_ND = np.random.default_rng(0).normal(size=(10, D))
TOKENS = TokenPositions(per_passage=2, min_position=0, seed=0)
BLOCK = 3


def save(path, h_ND, dtype="float32"):
    """The vectors in a file of the suffix, as a tensor called h where it has a name."""
    if path.suffix in (".pt", ".safetensors"):
        tensor = torch.from_numpy(np.asarray(h_ND)).to(getattr(torch, dtype))
        if path.suffix == ".pt":
            torch.save({"h": tensor, "note": "raw"}, path)
        else:
            save_torch_file({"h": tensor}, path)
    elif path.suffix == ".npy":
        np.save(path, np.asarray(h_ND, dtype))
    else:
        kind = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}[dtype]
        rows = list(np.asarray(h_ND, dtype))
        pq.write_table(pa.table({"h": pa.array(rows, pa.list_(kind, D))}), path, row_group_size=3)
    return path


def spec_of(path, **changed):
    files = files_of(str(path), SUFFIXES, field="x")
    return ActivationFile(path=str(path), sha256=sha256_of_files(files), **changed)


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (suffix, dtype)
        for suffix in SUFFIXES
        for dtype in ("float16", "bfloat16", "float32", "float64")
        if dtype != "bfloat16" or suffix in (".pt", ".safetensors")  # the others have no such type
    ],
)
def test_vectors_come_in_fp32_as_they_were_stored(tmp_path, suffix, dtype):
    vectors = opened_vectors([save(tmp_path / f"h{suffix}", H_ND, dtype)], None)
    assert (vectors.num_rows, vectors.width, vectors.dtype) == (10, D, dtype)
    numbers = np.array([0, 3, 4, 9])
    expected = torch.from_numpy(H_ND).to(getattr(torch, dtype)).float().numpy()
    found = vectors.take(numbers)
    assert found.dtype == np.float32
    assert found.tobytes() == expected[numbers].tobytes()


@pytest.mark.parametrize("kind", ["fixed", "list", "large"])
@given(data=st.data())
def test_any_rows_of_a_parquet_in_any_order_of_questions(tmp_path_factory, kind, data):
    width = st.lists(st.floats(width=32, allow_nan=False), min_size=D, max_size=D)
    rows = data.draw(st.lists(width, min_size=1, max_size=12))
    list_of = {"fixed": lambda t: pa.list_(t, D), "list": pa.list_, "large": pa.large_list}[kind]
    path = tmp_path_factory.mktemp("rows") / "h.parquet"
    table = pa.table({"n": range(len(rows)), "h": pa.array(rows, list_of(pa.float32()))})
    pq.write_table(table, path, row_group_size=data.draw(st.integers(1, 12)))
    numbers = st.sets(st.integers(0, len(rows) - 1), min_size=1)
    asked = data.draw(st.lists(numbers, min_size=1, max_size=4))
    size = 8 * D * data.draw(st.integers(1, 5))
    before, vector_column.CHUNK_BYTES = vector_column.CHUNK_BYTES, size
    try:
        vectors = opened_vectors([path], None)
        for chosen in map(sorted, asked):
            expected = np.array(rows, np.float32)[chosen]
            assert vectors.take(np.array(chosen)).tobytes() == expected.tobytes()
    finally:
        vector_column.CHUNK_BYTES = before


def test_a_parquet_is_decoded_once_where_rows_are_asked_in_order(tmp_path, monkeypatch):
    path = save(tmp_path / "h.parquet", np.repeat(H_ND, 10, axis=0))
    monkeypatch.setattr(vector_column, "CHUNK_BYTES", 8 * D * 2)
    vectors, opens = opened_vectors([path], None), []
    begin = vectors._begin_at
    monkeypatch.setattr(vectors, "_begin_at", lambda row: (opens.append(row), begin(row)))
    for start in range(0, 100, 10):
        vectors.take(np.arange(start, start + 10))
    assert len(opens) == vectors._file.num_row_groups - 1


def test_a_null_row_of_a_parquet_and_a_hole_are_nan(tmp_path):
    path = tmp_path / "h.parquet"
    rows = [[1.0, 2.0], None, [3.0, None], [4.0, 5.0]]
    pq.write_table(pa.table({"h": pa.array(rows, pa.list_(pa.float32()))}), path)
    found = opened_vectors([path], None).take(np.arange(4))
    assert np.isnan(found).any(axis=1).tolist() == [False, True, True, False]
    assert found[[0, 3]].tolist() == [[1, 2], [4, 5]]


def test_several_files_are_counted_through_by_name(tmp_path):
    for number in (0, 1, 2):
        np.save(tmp_path / f"{number}.npy", H_ND[4 * number : 4 * number + 4])
    vectors = opened(spec_of(tmp_path), BLOCK)
    assert vectors.num_rows == 10
    numbers = np.array([0, 3, 4, 9])
    assert vectors.take(numbers).tolist() == H_ND[numbers].astype(np.float32).tolist()
    np.save(tmp_path / "1.npy", H_ND[:, :2])
    with pytest.raises(ValueError, match=r"1.npy is 2 wide, .*0.npy 4: files of one path"):
        opened(spec_of(tmp_path), BLOCK)


MAPPED = """
import sys
from pathlib import Path

import numpy as np

from interlingua.sources.vector_file import opened_vectors
from interlingua.store.peak import own_peak_bytes

before = own_peak_bytes()
vectors = opened_vectors([Path(sys.argv[1])], None)
found = vectors.take(np.array([0, 12_345, vectors.num_rows - 1]))
assert found[1].tolist() == [7.0] * vectors.width, found[1]
print(4 * vectors.num_rows * vectors.width, own_peak_bytes() - before)
"""


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_large_file_is_mapped_and_not_read(tmp_path, suffix):
    """A file with holes: its 4 GB lie on no disk."""
    path, shape = tmp_path / f"h{suffix}", (1_000_000, 1024)
    if suffix == ".npy":
        h_ND = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        h_ND[12_345] = 7.0
        h_ND.flush()
    else:
        end = 4 * shape[0] * shape[1]
        entry = {"h": {"dtype": "F32", "shape": list(shape), "data_offsets": [0, end]}}
        header = json.dumps(entry).encode()
        with path.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + end)
            file.seek(8 + len(header) + 4 * 12_345 * shape[1])
            file.write(np.full(shape[1], 7, np.float32).tobytes())
    done = subprocess.run(
        [sys.executable, "-c", MAPPED, str(path)], capture_output=True, text=True, check=True
    )
    num_bytes, grown = map(int, done.stdout.split())
    assert num_bytes > 4e9 and grown < 100e6


READ_THROUGH = """
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch

from interlingua.sources.vector_file import opened_vectors


def own_bytes():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


vectors, most, before = opened_vectors([Path(sys.argv[1])], None), 0, own_bytes()
for start in range(0, vectors.num_rows, 500):
    assert len(vectors.take(np.arange(start, start + 500))) == 500
    most = max(most, own_bytes())
print(4 * vectors.num_rows * vectors.width, most - before)
"""


@pytest.mark.parametrize("suffix", [".pt", ".parquet"])
def test_reading_through_a_file_holds_a_part_of_it(tmp_path, suffix):
    """Mapped pages are not counted: the system takes them back when it needs to."""
    path, h_ND = tmp_path / f"h{suffix}", np.random.default_rng(0).random((64_000, 1024), "f4")
    if suffix == ".pt":
        torch.save(torch.from_numpy(h_ND), path)
    else:
        rows = pa.FixedSizeListArray.from_arrays(pa.array(h_ND.reshape(-1)), 1024)
        pq.write_table(pa.table({"h": rows}), path, row_group_size=len(h_ND))
    done = subprocess.run(
        [sys.executable, "-c", READ_THROUGH, str(path)], capture_output=True, text=True, check=True
    )
    num_bytes, grown = map(int, done.stdout.split())
    assert num_bytes > 250e6 and grown < 130e6


class Code:
    """What a pickle may hold: a call that opening it makes."""

    def __reduce__(self):
        return (print, ("run",))


# Each gives files for every way to be wrong, the tensor that is asked for, and what is answered.


def bad_arrays(folder):
    np.save(folder / "flat.npy", H_ND[0])
    yield "flat.npy", None, r"flat.npy has the shape \(4,\); it must be \[rows, width\]"
    np.save(folder / "whole.npy", np.arange(8).reshape(2, 4))
    yield "whole.npy", None, r"whole.npy is int64; vectors are float16, bfloat16"
    np.save(folder / "objects.npy", np.array([[1, None]], object), allow_pickle=True)
    yield "objects.npy", None, r"objects.npy cannot be read .*numpy.save"
    (folder / "no.npy").write_bytes(b"nothing")
    yield "no.npy", None, r"no.npy cannot be read"
    yield "whole.npy", "h", r"holds one array without a name: set ActivationFile.tensor to none"
    np.save(folder / "none.npy", np.zeros((0, 4), np.float32))
    yield "none.npy", None, r"none.npy has no vector"


def bad_safetensors(folder):
    h = torch.from_numpy(H_ND)
    save_torch_file({"a": h, "b": h.clone()}, folder / "two.safetensors")
    yield "two.safetensors", None, r"has 2 of what may be the tensor; it has a, b: name it in"
    yield "two.safetensors", "c", r"two.safetensors has no tensor 'c'; it has a, b"
    save_file({"h": np.arange(8).reshape(2, 4)}, folder / "whole.safetensors")
    yield "whole.safetensors", None, r"tensor h is I64; vectors are float16"
    content = (folder / "two.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(content[:-10])
    yield "cut.safetensors", "b", r"tensor b is cut off: 10 bytes are missing; copy it again"
    (folder / "no.safetensors").write_bytes(b"nothing")
    yield "no.safetensors", None, r"no.safetensors is no safetensors file"
    (folder / "empty.safetensors").touch()
    yield "empty.safetensors", None, r"empty.safetensors is no safetensors file"


def bad_pickles(folder):
    h = torch.from_numpy(H_ND)
    torch.save({"h": h, "code": Code()}, folder / "code.pt")
    yield "code.pt", None, r"code.pt holds more than tensors, .*would run code.*as .safetensors"
    torch.save({"a": h, "b": h}, folder / "two.pt")
    yield "two.pt", None, r"two.pt has 2 of what may be the tensor; it has a, b: name it in"
    torch.save([h], folder / "list.pt")
    yield "list.pt", None, r"list.pt is list; it must be a dense tensor"
    torch.save(h, folder / "old.pt", _use_new_zipfile_serialization=False)
    yield "old.pt", None, r"old.pt cannot be mapped .*save it again with a torch of today"
    torch.save(h, folder / "one.pt")
    yield "one.pt", "h", r"holds one tensor without a name: set ActivationFile.tensor to none"
    (folder / "no.pt").write_bytes(b"nothing")
    yield "no.pt", None, r"no.pt (cannot be mapped|holds more than tensors)"


def bad_parquets(folder):
    pq.write_table(pa.table({"n": [1, 2], "t": ["a", "b"]}), folder / "none.parquet")
    yield "none.parquet", None, r"has 0 of what may be the column of vectors; it has none"
    yield "none.parquet", "t", r"none.parquet, column t is string; it must be lists of floats"
    rows = pa.array([[1.0], [2.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"a": rows, "b": rows}), folder / "two.parquet")
    yield "two.parquet", None, r"has 2 of what may be the column of vectors; it has a, b"
    (folder / "no.parquet").write_bytes(b"nothing")
    yield "no.parquet", None, r"no.parquet cannot be read"
    yield "absent.npy", None, r"ActivationFile.path=.*absent.npy names no file"
    (folder / "h.bin").write_bytes(b"nothing")
    yield "h.bin", None, r"h.bin ends with none of .safetensors, .npy, .pt, .parquet"


@pytest.mark.parametrize("bad_files", [bad_arrays, bad_safetensors, bad_pickles, bad_parquets])
def test_a_file_of_another_kind_is_refused_in_words(tmp_path, capsys, bad_files):
    for name, tensor, words in bad_files(tmp_path):
        path = tmp_path / name
        sha256 = sha256_of(path) if path.exists() else "0" * 64
        with pytest.raises(ValueError, match=words) as error:
            opened(ActivationFile(path=str(path), sha256=sha256, tensor=tensor), BLOCK)
        assert str(path) in line(error)
    assert capsys.readouterr().out == ""  # no code was run


def test_vectors_of_two_widths_in_lists_are_refused(tmp_path):
    path = tmp_path / "h.parquet"
    rows = pa.array([[1.0, 2.0], [1.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"h": rows}), path)
    with pytest.raises(ValueError, match="column h, row 1 is 1 wide, the first 2"):
        opened_vectors([path], None).take(np.arange(2))


def test_a_null_vector_of_fixed_size_is_refused(tmp_path):
    path = tmp_path / "h.parquet"
    rows = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"h": rows}), path)
    with pytest.raises(ValueError, match="must not be null: write the file without those rows"):
        opened_vectors([path], None).take(np.arange(2))


def test_a_file_that_changed_since_it_was_pinned_is_refused(tmp_path):
    path = save(tmp_path / "h.npy", H_ND[:4])
    spec = spec_of(path)
    save(path, H_ND)
    with pytest.raises(ValueError, match="ActivationFile.path: .*they have changed"):
        opened(spec, BLOCK)


@pytest.mark.parametrize(
    ("changed", "read", "words"),
    [
        ({}, Spans(per_passage=1, min_sentence=0, seed=0), "read of sentences.*read=pooled"),
        ({}, TOKENS, "ActivationFile.index is none, but activations are read at tokens"),
        ({"index": "i.jsonl"}, TOKENS, "ActivationFile.position_field is none"),
        ({"index": "i.jsonl", "position_field": "at"}, LastToken(), "'at', but one activation a"),
        ({"position_field": "at"}, Pooled(include_first=False), "set it to none, or read=token"),
    ],
)
def test_a_reading_that_the_file_cannot_serve_is_refused(changed, read, words):
    with pytest.raises(ValueError, match=words):
        check_reading(ActivationFile(path="h.npy", **changed), read)


def test_bad_rows_are_counted_and_the_first_is_named():
    h_ND = np.ones((6, D), np.float32)
    h_ND[2, 1], h_ND[4, 0], h_ND[5] = np.nan, np.inf, 0
    bad = BadRows()
    assert not bad.note(np.arange(2), h_ND[:2])
    assert bad.note(np.arange(102, 106), h_ND[2:])
    words = "h.npy: 2 rows hold NaN, infinite or missing numbers, 1 are zero; the first is row 102"
    with pytest.raises(ValueError, match=words):
        bad.check("h.npy")


def released(folder, **extraction):
    path = save(folder / "h.parquet", H_ND)
    stated = {"base_model": "a/b", "d_model": D, "layer_index": BLOCK, "norm": "none"}
    tree = {
        "kind": "nla_dataset",
        "schema_version": 1,
        "stage": "base",
        "extraction": {**stated, **extraction},
    }
    path.with_name("h.parquet.nla_meta.yaml").write_text(yaml.safe_dump(tree))
    return path


def test_what_a_sidecar_says_must_hold(tmp_path):
    assert opened(spec_of(released(tmp_path)), BLOCK).width == D
    with pytest.raises(ValueError, match=r"says block 20, the recipe reads block 3: set hosts.TAG"):
        opened(spec_of(released(tmp_path, layer_index=20)), BLOCK)
    with pytest.raises(ValueError, match="says that vectors are 8 wide, those of .* are 4"):
        opened(spec_of(released(tmp_path, d_model=8)), BLOCK)


def test_what_a_column_says_of_the_block_must_hold(tmp_path):
    path = tmp_path / "h.parquet"
    rows = pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float32()))
    pq.write_table(pa.table({"h": rows, "activation_layer": [BLOCK, 4]}), path)
    with pytest.raises(ValueError, match="activation_layer is block 4, the recipe reads block 3"):
        opened(spec_of(path), BLOCK)
    pq.write_table(pa.table({"h": rows, "activation_layer": [BLOCK, BLOCK]}), path)
    assert opened(spec_of(path), BLOCK).num_rows == 2
