import hashlib
import math
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.rows.splits import (
    LEDGER_SCHEMA,
    SplitAccess,
    SplitViolation,
    passage_id,
    read_consumed,
    recorded_access,
    split_of,
)

SPEC = SplitSpec(seed=7, pretrain=0.3, av_sft=0.2, ar_sft=0.1, rl=0.1, fit=0.1, dev=0.1, test=0.1)
NUM_IDS = 20_000

GOLDEN_IDS = {
    "": "e3b0c44298fc1c14",
    "a": "ca978112ca1bbdca",
    "na\u00efve \u4e2d": "40383ec8e0e2399e",
}
GOLDEN_SPLITS = (
    "ar_sft av_sft ar_sft pretrain ar_sft fit ar_sft fit "
    "av_sft pretrain fit pretrain pretrain test pretrain rl"
)


def identities(num_ids):
    return [passage_id(f"text {index}") for index in range(num_ids)]


def splits_as_text(num_ids):
    return " ".join(split_of(identity, SPEC) for identity in identities(num_ids))


def test_passage_ids_are_what_they_always_were():
    assert {text: passage_id(text) for text in GOLDEN_IDS} == GOLDEN_IDS


def test_splits_are_what_they_always_were():
    assert splits_as_text(16) == GOLDEN_SPLITS


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_splits_alike(hash_seed):
    code = f"from test_splits import *; print(splits_as_text({200}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{Path(__file__).parents[3]}/platform"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == splits_as_text(200)


def test_a_split_depends_on_neither_order_nor_neighbours():
    ids = identities(500)
    forwards = {identity: split_of(identity, SPEC) for identity in ids}
    backwards = {identity: split_of(identity, SPEC) for identity in reversed(ids[::3])}
    assert backwards == {identity: forwards[identity] for identity in backwards}


def test_shares_hold_within_chance():
    found = [split_of(identity, SPEC) for identity in identities(NUM_IDS)]
    for split, share in SPEC.shares().items():
        deviation = math.sqrt(NUM_IDS * share * (1 - share))
        assert abs(found.count(split) - NUM_IDS * share) < 4 * deviation, split


def test_the_seed_draws_another_independent_split():
    other = replace(SPEC, seed=8)
    agreed = sum(split_of(i, SPEC) == split_of(i, other) for i in identities(NUM_IDS))
    chance = sum(share**2 for share in SPEC.shares().values())
    deviation = math.sqrt(NUM_IDS * chance * (1 - chance))
    assert abs(agreed - NUM_IDS * chance) < 4 * deviation


def test_a_share_of_nothing_gets_nothing_and_one_of_all_gets_all():
    none = dict.fromkeys((split.value for split in Split), 0.0)
    for split in Split:
        only = SplitSpec(seed=1, **(none | {split.value: 1.0}))
        assert {split_of(identity, only) for identity in identities(200)} == {split}


def test_the_hash_decides_at_exact_bounds():
    halves = SplitSpec(seed=1, pretrain=0.5, av_sft=0, ar_sft=0, rl=0, fit=0, dev=0, test=0.5)
    for identity in identities(200):
        top_bit = hashlib.sha256(f"1|{identity}".encode()).digest()[0] >> 7
        assert split_of(identity, halves) == (Split.TEST if top_bit else Split.PRETRAIN)


def test_other_splits_than_the_permitted_ones_are_refused():
    access = SplitAccess([Split.AV_SFT, Split.DEV])
    access.permit([Split.DEV])
    access.permit([])
    with pytest.raises(SplitViolation, match="test.*may read: av_sft, dev"):
        access.permit([Split.DEV, Split.TEST])
    with pytest.raises(SplitViolation):
        access.consume("0" * 16, Split.TEST)
    assert access.consumed() == {}
    with pytest.raises(SplitViolation, match="none"):
        SplitAccess([]).permit([Split.DEV])


def test_the_ledger_is_sorted_unique_and_read_back(tmp_path):
    with recorded_access([Split.DEV, Split.TEST], tmp_path) as access:
        for identity, split in [("b", Split.TEST), ("c", Split.DEV), ("a", Split.DEV)] * 2:
            access.consume(identity, split)
    path = tmp_path / "consumed.parquet"
    assert pq.read_table(path).to_pydict() == {
        "passage_id": ["a", "b", "c"],
        "split": ["dev", "test", "dev"],
    }
    assert read_consumed(path) == access.consumed() == {Split.DEV: {"a", "c"}, Split.TEST: {"b"}}


@given(st.lists(st.tuples(st.text("ab1", max_size=16), st.sampled_from(Split))))
def test_the_ledger_is_the_file_of_a_set_of_pairs(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("ledger")
    with recorded_access(Split, folder) as access:
        for identity, split in pairs:
            access.consume(identity, split)
    rows = [{"passage_id": identity, "split": split} for identity, split in sorted(set(pairs))]
    pq.write_table(pa.Table.from_pylist(rows, schema=LEDGER_SCHEMA), folder / "expected")
    assert (folder / "consumed.parquet").read_bytes() == (folder / "expected").read_bytes()


def test_an_id_that_a_ledger_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="'aaaaaaaaaaaaaaaa1' is longer than 16"):
        SplitAccess([Split.DEV]).consume("a" * 16 + "1", Split.DEV)


def test_a_ledger_holds_some_bytes_an_id(tmp_path):
    # First a few: what is imported on the way is no id's.
    _, less, more = (peak_of_ledger(tmp_path, num_ids) for num_ids in (1, 8_000, 40_000))
    assert more - less < 100 * 32_000


def peak_of_ledger(folder, num_ids):
    """The most bytes that are held at once while so many ids are noted twice, and stored."""
    tracemalloc.start()
    try:
        with recorded_access(Split, folder) as access:
            for number in chain(range(num_ids), range(num_ids)):
                access.consume(f"{number:016x}", Split.DEV)
        (folder / "consumed.parquet").unlink()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stage_that_read_nothing_has_an_empty_ledger(tmp_path):
    with recorded_access([Split.DEV], tmp_path):
        pass
    assert read_consumed(tmp_path / "consumed.parquet") == {}


def test_the_ledger_is_written_on_a_clean_end_and_keeps_earlier_attempts(tmp_path):
    with pytest.raises(ZeroDivisionError), recorded_access([Split.DEV], tmp_path) as access:
        access.consume("a", Split.DEV)
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    access.write(tmp_path)
    with recorded_access([Split.DEV], tmp_path) as resumed:
        resumed.consume("b", Split.DEV)
    assert read_consumed(tmp_path / "consumed.parquet") == {Split.DEV: {"a", "b"}}
