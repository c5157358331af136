import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.specs.splits import Split, SplitSpec
from interlingua.store.rows.passages import (
    CorruptPassages,
    Mention,
    Passage,
    all_passages,
    count_by_split,
    documents_of,
    read_passages,
    write_passages,
)
from interlingua.store.rows.splits import SplitAccess, SplitViolation, passage_id, split_of

SPEC = SplitSpec(seed=7, pretrain=0.1, av_sft=0.2, ar_sft=0.1, rl=0.2, fit=0.1, dev=0.1, test=0.2)


def passage(text, facts=None, mentions=()):
    identity = passage_id(text)
    return Passage(
        passage_id=identity,
        document_id=identity,
        split=split_of(identity, SPEC),
        text=text,
        facts=facts or {},
        mentions=tuple(mentions),
    )


def everything(path):
    return list(read_passages(path, Split, SplitAccess(Split)))


@pytest.fixture
def passages():
    return [
        passage(f"text {index}", {"mood": "glad"}, [Mention("mood", 0, 4)]) for index in range(300)
    ]


@pytest.fixture
def path(tmp_path, passages):
    path = tmp_path / "passages.parquet"
    write_passages(path, passages, split_spec=SPEC, rows_per_group=32)
    return path


mentions = st.builds(
    Mention, fact=st.text(), start=st.integers(0, 2**31 - 1), end=st.integers(0, 2**31 - 1)
)
any_passage = st.builds(
    passage,
    st.text(),
    st.dictionaries(st.text(), st.text(), max_size=4),
    st.lists(mentions, max_size=4),
)


@settings(deadline=None)
@given(st.lists(any_passage, max_size=12), st.integers(1, 5))
def test_any_text_survives(given_passages, rows_per_group):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "passages.parquet")
        write_passages(path, given_passages, split_spec=SPEC, rows_per_group=rows_per_group)
        assert everything(path) == given_passages


def test_only_the_asked_splits_come_in_file_order_and_are_noted(path, passages):
    access = SplitAccess([Split.DEV, Split.TEST, Split.RL])
    found = list(read_passages(path, [Split.DEV, Split.TEST], access))
    assert found == [one for one in passages if one.split in (Split.DEV, Split.TEST)]
    expected = {
        split: {one.passage_id for one in passages if one.split == split}
        for split in (Split.DEV, Split.TEST)
    }
    assert access.consumed() == expected


def test_all_passages_come_to_the_stage_that_wrote_them(path, passages):
    assert list(all_passages(path)) == passages


def test_documents_are_those_of_the_asked_passages_which_are_noted(tmp_path):
    whole = passage("a document")
    parts = [replace(passage(f"part {n}"), document_id=whole.document_id) for n in range(4)]
    parts = [replace(one, split=whole.split) for one in parts]
    path = tmp_path / "passages.parquet"
    write_passages(path, [whole, *parts], split_spec=SPEC)
    access = SplitAccess([whole.split])
    asked = [one.passage_id for one in parts[:2]]
    found = documents_of(path, asked, whole.split, access)
    assert found == dict.fromkeys(asked, whole.document_id)
    assert access.consumed() == {whole.split: set(asked)}


def test_documents_of_passages_of_another_split_or_file_are_refused(path, passages):
    dev = next(one for one in passages if one.split == Split.DEV)
    access = SplitAccess([Split.TEST])
    with pytest.raises(SplitViolation):
        documents_of(path, [dev.passage_id], Split.DEV, access)
    with pytest.raises(CorruptPassages, match=f"lacks 1 passages of test .* {dev.passage_id}"):
        documents_of(path, [dev.passage_id], Split.TEST, access)
    assert access.consumed() == {}


def test_no_passage_stands_in_two_splits(path, passages):
    seen = [
        {one.passage_id for one in read_passages(path, [split], SplitAccess([split]))}
        for split in Split
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == len(passages)


def test_a_split_that_is_not_permitted_is_refused_before_the_file_is_opened(tmp_path):
    with pytest.raises(SplitViolation):
        read_passages(tmp_path / "absent", [Split.TEST], SplitAccess([Split.DEV]))


def test_only_what_was_really_read_is_noted(path):
    access = SplitAccess(Split)
    rows = read_passages(path, Split, access)
    first, second = next(rows), next(rows)
    rows.close()
    noted = {identity for ids in access.consumed().values() for identity in ids}
    assert noted == {first.passage_id, second.passage_id}


def test_the_split_is_that_of_the_document(tmp_path):
    path = tmp_path / "passages.parquet"
    whole = passage("a long document")
    prefix = replace(whole, passage_id=passage_id("a long"), text="a long")
    write_passages(path, [prefix, whole], split_spec=SPEC)
    assert [one.split for one in everything(path)] == [whole.split, whole.split]


def test_counts_by_split(path, passages):
    counts = count_by_split(path)
    assert counts == {split: sum(p.split == split for p in passages) for split in counts}
    assert sum(counts.values()) == len(passages)


def test_the_writer_holds_one_group_and_refuses_a_wrong_split(tmp_path, passages):
    path = tmp_path / "passages.parquet"
    wrong = replace(passages[0], split=next(s for s in Split if s != passages[0].split))
    with pytest.raises(ValueError, match=wrong.passage_id):
        write_passages(path, [*passages, wrong], split_spec=SPEC)
    assert list(tmp_path.iterdir()) == []
    write_passages(path, iter(passages), split_spec=SPEC, rows_per_group=128)
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [128, 128, 44]


def rewrite(path, change):
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


@pytest.mark.parametrize("target", list(Split))
def test_a_row_that_moved_to_another_split_is_found_where_it_went(path, passages, target):
    moved = next(index for index, one in enumerate(passages) if one.split != target)
    rewrite(path, lambda rows: rows[moved].update(split=target.value))
    with pytest.raises(CorruptPassages, match=passages[moved].passage_id):
        list(read_passages(path, [target], SplitAccess([target])))


def test_a_file_that_does_not_say_how_it_was_split_is_refused(path):
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(CorruptPassages, match=str(path)):
        everything(path)


def test_a_file_split_by_another_spec_is_refused(path):
    other = path.with_name("other.parquet")
    spec = replace(SPEC, seed=8)
    rows = [replace(passage(f"{i}"), split=split_of(passage_id(f"{i}"), spec)) for i in range(50)]
    write_passages(other, rows, split_spec=spec)
    stolen = pq.read_schema(other).metadata
    table = pq.read_table(path).replace_schema_metadata(stolen)
    pq.write_table(table, path)
    with pytest.raises(CorruptPassages):
        everything(path)


def test_a_flipped_byte_in_any_column_is_noticed(path):
    whole = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(3)
    for column in map(group.column, range(group.num_columns)):
        start = column.dictionary_page_offset or column.data_page_offset
        last = start + column.total_compressed_size - 1
        path.write_bytes(whole[:last] + bytes([whole[last] ^ 0xFF]) + whole[last + 1 :])
        with pytest.raises(CorruptPassages, match=str(path)):
            everything(path)


def test_a_cut_file_is_noticed(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptPassages, match=str(path)):
            everything(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        everything(tmp_path / "absent.parquet")
