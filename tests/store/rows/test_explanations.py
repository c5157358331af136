"""Explanations of the splits that are asked for, and their passages in the ledger."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlingua.specs.splits import Split
from interlingua.store.rows.explanations import (
    EXPLANATIONS_NAME,
    Explanation,
    consume_explanations,
    read_explanations,
    write_explanations,
)
from interlingua.store.rows.splits import SplitAccess, SplitViolation

BOTH = (Split.AV_SFT, Split.DEV)


@pytest.fixture
def folder(tmp_path):
    write_explanations(
        tmp_path,
        (
            Explanation(
                passage_id=f"{number:016}",
                position=-1,
                sample=sample,
                split=(*BOTH, Split.TEST)[number % 3],
                teacher="one",
                text=f"text {number} {sample}",
            )
            for number in range(9)
            for sample in range(2)
        ),
    )
    return tmp_path


def test_what_is_noted_without_a_text_is_what_reading_notes(folder):
    reading, noting = SplitAccess(BOTH), SplitAccess(BOTH)
    texts = read_explanations(folder, {Split.AV_SFT}, reading)
    consume_explanations(folder, {Split.AV_SFT}, noting)
    assert noting.consumed() == reading.consumed()
    assert noting.consumed() == {Split.AV_SFT: {key[0] for key in texts}} and len(texts) == 3


def test_no_text_is_read_to_note_passages(folder):
    path = folder / EXPLANATIONS_NAME
    table = pq.read_table(path, columns=["passage_id", "split"])
    pq.write_table(pa.table(table), path)
    access = SplitAccess(BOTH)
    consume_explanations(folder, BOTH, access)
    assert {split: len(ids) for split, ids in access.consumed().items()} == dict.fromkeys(BOTH, 3)


def test_passages_of_a_split_that_is_not_permitted_are_not_noted(folder):
    with pytest.raises(SplitViolation, match="asked to read the splits test"):
        consume_explanations(folder, {Split.TEST}, SplitAccess(BOTH))
