import mmap
import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from interlingua.store.rows.shards import (
    CorruptShard,
    Shard,
    ShardHeader,
    ShardIndex,
    ShardRows,
    list_shards,
    read_shard,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.rows.splits import passage_id

HEADER = ShardHeader(
    host_tag="tiny-llama",
    host_revision="0123abc",
    tokenizer_hash="fedcba",
    block_index=2,
    read_mode="token",
    dtype="bfloat16",
    max_length=128,
)
D = 7


def rows(names, positions=None, seed=0):
    vectors_ND = np.random.default_rng(seed).standard_normal((len(names), D), dtype=np.float32)
    ids = [passage_id(name) for name in names]
    positions = [-1] * len(names) if positions is None else positions
    return shard_rows(ids, positions, list(range(10, 10 + len(names))), vectors_ND)


def assert_same(a, b):
    for field in fields(ShardRows):
        left, right = getattr(a, field.name), getattr(b, field.name)
        assert left.dtype == right.dtype, field.name
        np.testing.assert_array_equal(left, right, err_msg=field.name)


@pytest.fixture
def shard(tmp_path):
    path = shard_path(tmp_path, 3)
    write_shard(path, HEADER, rows("abcde", [0, 5, -1, 2, 99]))
    return path


@pytest.mark.parametrize("names", ["", "a", "abcdefgh"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_shard_is_read_as_it_was_written(tmp_path, names, verify):
    path = shard_path(tmp_path, 0)
    written = rows(names)
    write_shard(path, HEADER, written)
    found = read_shard(path, verify=verify)
    assert found.header == HEADER
    assert_same(found.rows, written)


def test_vectors_are_stored_raw_also_where_they_are_not_numbers(tmp_path):
    vectors_ND = np.array([[np.nan, 1], [np.inf, 1], [3, 4], [3e38, 3e38]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = shard_rows([passage_id(n) for n in "abcd"], [-1] * 4, [1] * 4, vectors_ND)
    write_shard(shard_path(tmp_path, 0), HEADER, written)
    found = read_shard(shard_path(tmp_path, 0)).rows
    assert found.vectors_ND.tobytes() == vectors_ND.tobytes()
    assert found.is_finite_N.tolist() == [False, False, True, True]
    assert found.norms_N[2] == 5


def test_a_view_of_every_other_row_is_written_as_what_it_shows(tmp_path):
    wide = np.arange(40, dtype=np.float32).reshape(4, 10)
    for name, view in {"columns": wide[:, ::2], "rows": wide[::-1], "turned": wide.T}.items():
        path = tmp_path / f"{name}.safetensors"
        ids = [passage_id(str(index)) for index in range(len(view))]
        write_shard(path, HEADER, shard_rows(ids, [-1] * len(view), [1] * len(view), view))
        np.testing.assert_array_equal(read_shard(path).rows.vectors_ND, view)


def test_every_other_row_of_a_shard_can_be_written_again(shard, tmp_path):
    found = read_shard(shard).rows
    halved = ShardRows(**{f.name: getattr(found, f.name)[::2] for f in fields(ShardRows)})
    write_shard(shard_path(tmp_path, 4), HEADER, halved)
    assert_same(read_shard(shard_path(tmp_path, 4)).rows, halved)


def test_reading_maps_the_file_and_copies_nothing(shard):
    found = read_shard(shard, verify=False).rows
    for field in fields(ShardRows):
        owner = getattr(found, field.name)
        assert not owner.flags.writeable
        while isinstance(owner, np.ndarray):
            owner = owner.base
        assert isinstance(owner, mmap.mmap), field.name


def test_other_readers_of_the_format_understand_it(shard):
    with safe_open(shard, framework="np") as file:
        np.testing.assert_array_equal(
            file.get_tensor("vectors_ND"), read_shard(shard).rows.vectors_ND
        )
        assert set(file.keys()) == {field.name for field in fields(ShardRows)}


def test_every_flipped_byte_is_noticed(shard):
    whole = shard.read_bytes()
    for index in range(len(whole)):
        shard.write_bytes(whole[:index] + bytes([whole[index] ^ 0x41]) + whole[index + 1 :])
        try:
            found = read_shard(shard)
        except CorruptShard as error:
            assert str(shard) in str(error)
        else:
            pytest.fail(f"byte {index} of {len(whole)}: {found.header}")


def test_every_cut_file_is_noticed_even_without_the_checksum(shard):
    whole = shard.read_bytes()
    for length in range(len(whole)):
        shard.write_bytes(whole[:length])
        with pytest.raises(CorruptShard, match=str(shard)):
            read_shard(shard, verify=False)


def test_a_missing_shard_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_shard(shard_path(tmp_path, 0))


def test_shards_are_listed_in_order_and_alone(tmp_path):
    indices = [10, 2, 1000, 0]
    for index in indices:
        write_shard(shard_path(tmp_path, index), HEADER, rows("a"))
    (tmp_path / ".shard-000001.safetensors.0123abcd.tmp").write_bytes(b"half")
    (tmp_path / "artifact.json").write_text("{}")
    assert list_shards(tmp_path) == [shard_path(tmp_path, index) for index in sorted(indices)]


def shards_of(tmp_path, *all_rows, header=HEADER):
    for index, one in enumerate(all_rows):
        write_shard(shard_path(tmp_path, index), header, one)
    return [read_shard(path) for path in list_shards(tmp_path)]


def test_rows_are_joined_by_id_whatever_the_shards(tmp_path):
    together = rows("abcdef")
    orders = [("fb", [5, 1]), ("", []), ("adc", [0, 3, 2]), ("e", [4])]
    parts = []
    for names, indices in orders:
        ids = [passage_id(name) for name in names]
        parts.append(shard_rows(ids, [-1] * len(ids), indices, together.vectors_ND[indices]))
    index = ShardIndex(shards_of(tmp_path, *parts))
    for wanted, indices in {"abcdef": range(6), "dbf": [3, 1, 5], "": []}.items():
        found = index.rows([passage_id(name) for name in wanted])
        assert [i.decode() for i in found.passage_ids_N] == [passage_id(n) for n in wanted]
        np.testing.assert_array_equal(found.vectors_ND, together.vectors_ND[list(indices)])
        assert found.num_tokens_N.tolist() == list(indices)


def test_all_positions_of_a_passage_come_in_their_order(tmp_path):
    shards = shards_of(tmp_path, rows("aab", [9, 2, 4]), rows("ba", [1, 5], seed=1))
    found = ShardIndex(shards).rows([passage_id("b"), passage_id("a")])
    assert found.positions_N.tolist() == [1, 4, 2, 5, 9]
    np.testing.assert_array_equal(found.vectors_ND[3], shards[1].rows.vectors_ND[1])


def keys(pairs):
    return [(passage_id(name), position) for name, position in pairs]


def test_rows_are_taken_at_single_positions(tmp_path):
    shards = shards_of(tmp_path, rows("aab", [9, 2, 4]), rows("ba", [1, 5], seed=1))
    index = ShardIndex(shards)
    wanted = keys([("a", 5), ("b", 4), ("a", 9), ("b", 1)])
    found = index.rows_at(wanted)
    assert list(zip(found.passage_ids_N.astype(str), found.positions_N, strict=True)) == wanted
    first, second = (shard.rows.vectors_ND for shard in shards)
    np.testing.assert_array_equal(found.vectors_ND, [second[1], first[2], first[0], second[0]])
    assert index.rows_at([]).vectors_ND.shape == (0, D)


def test_a_passage_without_rows_is_an_error(tmp_path):
    index = ShardIndex(shards_of(tmp_path, rows("ab")))
    with pytest.raises(KeyError, match=passage_id("z")):
        index.rows([passage_id("a"), passage_id("z")])


@pytest.mark.parametrize("key", [("z", 4), ("a", 4), ("b", 3)])
def test_a_position_without_a_row_is_an_error(tmp_path, key):
    index = ShardIndex(shards_of(tmp_path, rows("ab", [3, 4])))
    with pytest.raises(KeyError, match=f"1 of 2 have no row.*{passage_id(key[0])}"):
        index.rows_at(keys([("a", 3), key]))


def test_asking_twice_and_storing_twice_are_errors(tmp_path):
    index = ShardIndex(shards_of(tmp_path, rows("ab"), rows("b")))
    with pytest.raises(ValueError, match="duplicates"):
        index.rows([passage_id("a"), passage_id("a")])
    with pytest.raises(ValueError, match="duplicates"):
        index.rows_at(keys([("a", -1), ("a", -1)]))
    assert len(index.rows([passage_id("a")]).positions_N) == 1
    with pytest.raises(CorruptShard, match=passage_id("b")):
        index.rows([passage_id("a"), passage_id("b")])
    with pytest.raises(CorruptShard, match=passage_id("b")):
        index.rows_at(keys([("a", -1), ("b", -1)]))


def test_shards_of_different_hosts_are_not_joined(tmp_path):
    write_shard(shard_path(tmp_path, 0), HEADER, rows("a"))
    write_shard(shard_path(tmp_path, 1), replace(HEADER, block_index=3), rows("b"))
    with pytest.raises(ValueError, match="block_index"):
        ShardIndex([read_shard(path) for path in list_shards(tmp_path)])
    with pytest.raises(ValueError, match="no shards"):
        ShardIndex([])


@settings(max_examples=50)
@given(
    stored=st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-1, 9)))),
    asked=st.lists(st.sampled_from("abcdef"), unique=True),
)
def test_what_is_asked_is_found_once_in_its_order_or_refused(stored, asked):
    flat = [pair for shard in stored for pair in shard]
    if not stored or len(set(flat)) < len(flat):
        return
    shards = [
        Shard(HEADER, rows([n for n, _ in pairs], [p for _, p in pairs], seed=number))
        for number, pairs in enumerate(stored)
    ]
    vectors = np.concatenate([shard.rows.vectors_ND for shard in shards])
    vector_of = dict(zip(flat, vectors, strict=True))
    index, ids = ShardIndex(shards), [passage_id(name) for name in asked]
    expected = [pair for name in asked for pair in sorted(flat) if pair[0] == name]
    if {name for name, _ in expected} != set(asked):
        with pytest.raises(KeyError):
            index.rows(ids)
        return
    for found in (index.rows(ids), index.rows_at(keys(expected))):
        assert found.positions_N.tolist() == [position for _, position in expected]
        assert [i.decode() for i in found.passage_ids_N] == [i for i, _ in keys(expected)]
        for vector_D, pair in zip(found.vectors_ND, expected, strict=True):
            np.testing.assert_array_equal(vector_D, vector_of[pair])


@pytest.mark.parametrize(
    ("ids", "positions", "vectors"),
    [
        (["short"], [-1], np.zeros((1, D), np.float32)),
        ([passage_id("a")], [-1, -1], np.zeros((1, D), np.float32)),
        ([passage_id("a")], [-1], np.zeros((2, D), np.float32)),
        ([passage_id("a")], [-1], np.zeros((1, D), np.float16)),
        ([passage_id("a")], [-1], np.zeros(D, np.float32)),
    ],
)
def test_rows_that_do_not_fit_are_refused(ids, positions, vectors):
    with pytest.raises(ValueError):
        shard_rows(ids, positions, [1], vectors)
