"""Rows of one host are handed out by split and by key, finite ones only, and noted."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from interlingua.specs.splits import Split
from interlingua.stages.rows.keyed import KeyedRows, distinct, shared_keys
from interlingua.store.artifact import Stage, build
from interlingua.store.rows.shards import (
    CorruptShard,
    ShardHeader,
    block_folder,
    list_shards,
    read_shard,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.rows.splits import SplitAccess, SplitViolation, passage_id, recorded_access

BLOCK, D = 2, 5
# Of every split four passages, each with rows at these positions; the file's order is another.
POSITIONS = {"pooled": (-1,), "pooled_with_first": (-1,), "last": (-1,), "token": (3, 7, 8)}
READ = (Split.FIT, Split.DEV)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSpec:
    """Rows of one mode, of which one passage's last is not finite."""

    read_mode: str
    host_tag: str = "made-up"
    tokenizer_hash: str = "hash"


def ids_of(split):
    return [passage_id(f"{split} {number}") for number in range(4)]


def stored_keys(mode):
    """Every row that is stored, in the order of the files."""
    keys = [(i, p) for split in READ for i in ids_of(split) for p in POSITIONS[mode]]
    return [keys[i] for i in np.random.default_rng(0).permutation(len(keys))]


def bad_key(mode):
    return ids_of(Split.FIT)[1], POSITIONS[mode][-1]


def vector_of(key):
    return np.random.default_rng([int(key[0], 16), key[1] + 1]).normal(size=D).astype(np.float32)


def write_rows(spec, inputs, out, context):
    header = ShardHeader(
        host_tag=spec.host_tag,
        host_revision="",
        tokenizer_hash=spec.tokenizer_hash,
        block_index=BLOCK,
        read_mode=spec.read_mode,
        dtype="float32",
        max_length=9,
    )
    block_folder(out, BLOCK).mkdir()
    keys = stored_keys(spec.read_mode)
    for index, start in enumerate(range(0, len(keys), 5)):
        part = keys[start : start + 5]
        h_ND = np.array([vector_of(k) for k in part])
        h_ND[[k == bad_key(spec.read_mode) for k in part]] = np.nan
        rows = shard_rows([i for i, _ in part], [p for _, p in part], [9] * len(part), h_ND)
        write_shard(shard_path(block_folder(out, BLOCK), index), header, rows)
    with recorded_access(READ, out) as access:
        for split in READ:
            for identity in ids_of(split):
                access.consume(identity, split)
    return {}


def built(root, mode, **changes):
    spec = RowsSpec(read_mode=mode, **changes)
    kind, label = "activations", f"{spec.host_tag}-{mode}"
    stage = Stage(kind=kind, label=label, spec=spec, run=write_rows, inputs={}, revision=1)
    return build(stage, root, None)


@pytest.fixture(params=POSITIONS)
def mode(request):
    return request.param


@pytest.fixture
def artifact(mode, tmp_path):
    return built(tmp_path, mode)


def opened(artifact, splits=(Split.FIT,)):
    access = SplitAccess(READ)
    return KeyedRows(artifact, BLOCK, splits, access), access


def test_rows_come_in_the_order_asked(artifact, mode):
    rows, access = opened(artifact)
    keys = [k for k in stored_keys(mode) if k[0] in ids_of(Split.FIT)]
    assert rows.num_expected == len(keys) == 4 * len(POSITIONS[mode])
    keys.remove(bad_key(mode))
    assert rows.finite_keys() == keys
    assert (rows.host_tag, rows.width) == ("made-up", D)
    for asked in (keys, keys[::-1], keys[1:3]):
        expected_ND = np.array([vector_of(key) for key in asked])
        np.testing.assert_array_equal(rows.vectors(asked), expected_ND)
    assert access.consumed() == {Split.FIT: frozenset(i for i, _ in keys)}


def test_keys_may_repeat(artifact):
    rows, access = opened(artifact)
    first, second = rows.finite_keys()[:2]
    asked = [second, first, second, second]
    np.testing.assert_array_equal(rows.vectors(asked), [vector_of(key) for key in asked])
    assert access.consumed() == {Split.FIT: {first[0], second[0]}}
    assert distinct(asked) == ([second, first], [0, 1, 0, 0])


def test_only_what_is_asked_is_noted(tmp_path):
    rows, access = opened(built(tmp_path, "token"), READ)
    keys = rows.finite_keys()
    assert {i for i, _ in keys} == {i for split in READ for i in ids_of(split)}
    rows.vectors([(ids_of(Split.DEV)[0], 7)])
    assert access.consumed() == {Split.DEV: frozenset(ids_of(Split.DEV)[:1])}


@pytest.mark.parametrize("key", [(passage_id("unknown"), 3), (ids_of(Split.FIT)[0], 4)])
def test_a_key_that_is_not_there_is_an_error(tmp_path, key):
    rows, access = opened(built(tmp_path, "token"))
    with pytest.raises(KeyError, match=key[0]):
        rows.vectors([(ids_of(Split.FIT)[0], 3), key])
    assert access.consumed() == {}


def test_a_passage_of_a_split_that_was_not_asked_is_an_error(artifact, mode):
    rows, access = opened(artifact)
    other = ids_of(Split.DEV)[0]
    with pytest.raises(KeyError, match=other):
        rows.vectors([(other, POSITIONS[mode][0])])
    assert access.consumed() == {}


def test_rows_of_a_split_that_is_not_permitted_are_refused(artifact):
    with pytest.raises(SplitViolation, match="test"):
        KeyedRows(artifact, BLOCK, {Split.TEST}, SplitAccess({Split.FIT}))


def test_a_block_that_was_not_read_is_refused(artifact):
    with pytest.raises(ValueError, match="no rows of block 3"):
        KeyedRows(artifact, 3, {Split.FIT}, SplitAccess({Split.FIT}))


@pytest.mark.parametrize("kept", [0, 7, 300, -1])
def test_a_truncated_shard_is_named(artifact, kept):
    damaged = list_shards(block_folder(artifact.path, BLOCK))[1]
    damaged.write_bytes(damaged.read_bytes()[:kept])
    with pytest.raises(CorruptShard, match=damaged.name):
        opened(artifact)


@pytest.mark.parametrize("field", ["host_revision", "tokenizer_hash", "dtype"])
def test_shards_of_another_reading_are_not_joined(artifact, field):
    changed = list_shards(block_folder(artifact.path, BLOCK))[1]
    other = read_shard(changed)
    write_shard(changed, replace(other.header, **{field: "another"}), other.rows)
    with pytest.raises(ValueError, match=f"differ in {field}"):
        opened(artifact)


def test_hosts_share_the_keys_that_all_have_a_finite_row_of(tmp_path):
    artifacts = [built(tmp_path, "token", host_tag=tag) for tag in ("one", "two")]
    both, fit = (
        KeyedRows(artifact, BLOCK, splits, SplitAccess(READ))
        for artifact, splits in zip(artifacts, (READ, (Split.FIT,)), strict=True)
    )
    assert shared_keys([both, fit]) == shared_keys([fit, both]) == fit.finite_keys()


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (("pooled", {}), ("pooled_with_first", {}), "made-up are pooled, of other pooled_with"),
        (("token", {}), ("pooled", {}), "made-up are token, of other pooled"),
        (("last", {}), ("pooled", {}), "made-up are last, of other pooled"),
        (("token", {}), ("token", {"tokenizer_hash": "x"}), "made-up and other have other token"),
    ],
    ids=["first token", "token", "last token", "tokenizer"],
)
def test_rows_that_were_read_in_other_ways_refuse_to_be_joined(ours, theirs, said, tmp_path):
    """Their keys are equal: without a word a map would be fitted between two conventions."""
    rows = [
        opened(built(tmp_path, mode, host_tag=tag, **changes))[0]
        for tag, (mode, changes) in (("made-up", ours), ("other", theirs))
    ]
    with pytest.raises(ValueError, match=f"{said}.*not joined"):
        shared_keys(rows)


@pytest.mark.parametrize("mode", ["pooled", "last"])
def test_rows_of_whole_passages_are_joined_whatever_the_tokenizers(mode, tmp_path):
    rows = [
        opened(built(tmp_path, mode, host_tag=tag, tokenizer_hash=tag))[0]
        for tag in ("one", "other")
    ]
    assert len(shared_keys(rows)) == 3
