"""Corpora mixed by share: the order, whole documents, and where it ends."""

import json
from collections import Counter
from itertools import groupby, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.sources.files import sha256_of_files
from interlingua.sources.mixture import order_of
from interlingua.sources.source import corpus_of
from interlingua.specs.corpora import Mixture, MixturePart, TextFiles


def part(folder: Path, tag: str, share: float, documents: list[int], **fields) -> MixturePart:
    """A part whose documents have so many rows each; every part calls them alike."""
    path = folder / f"{tag}.jsonl"
    rows = [
        {"text": f"{tag} {number}.{row}", "doc": f"doc-{number}"}
        for number, num_rows in enumerate(documents)
        for row in range(num_rows)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sha256 = sha256_of_files([path])
    return MixturePart(
        tag=tag, share=share, corpus=TextFiles(path=str(path), sha256=sha256, **fields)
    )


def tags(spec: Mixture) -> str:
    return "".join(record.text[0] for record in corpus_of(spec).records())


def test_shares_hold_from_the_first_document_on(tmp_path):
    parts = part(tmp_path, "a", 0.5, [1] * 9), part(tmp_path, "b", 0.3, [1] * 9)
    spec = Mixture(parts=(*parts, part(tmp_path, "c", 0.2, [1] * 9)), count=10)
    assert tags(spec) == "abcaabacba"
    assert tags(spec) == "abcaabacba"


def test_the_first_goes_first_where_two_are_equal(tmp_path):
    spec = Mixture(parts=(part(tmp_path, "a", 0.5, [1] * 3), part(tmp_path, "b", 0.5, [1] * 3)))
    assert tags(spec) == "ababab"


def test_a_document_stays_whole_and_names_say_its_part(tmp_path):
    fields = {"document_field": "doc"}
    spec = Mixture(
        parts=(
            part(tmp_path, "a", 0.5, [2, 1, 3], **fields),
            part(tmp_path, "b", 0.5, [1, 2, 1], **fields),
        )
    )
    records = list(corpus_of(spec).records())
    documents = [record.document_id for record in records]
    assert [name for name, _ in groupby(documents)] == [
        f"{tag}/doc-{number}" for number in range(3) for tag in "ab"
    ]
    assert Counter(documents)["a/doc-2"] == 3
    row_ids = [record.row_id for record in records]
    assert len(set(row_ids)) == 10
    assert row_ids[:4] == ["a/0", "a/1", "b/0", "a/2"]


def test_a_text_without_a_document_is_one(tmp_path):
    spec = Mixture(parts=(part(tmp_path, "a", 0.5, [2]), part(tmp_path, "b", 0.5, [2])))
    assert [record.document_id for record in corpus_of(spec).records()] == [None] * 4
    assert tags(spec) == "abab"


def test_it_ends_where_a_part_does(tmp_path):
    parts = part(tmp_path, "a", 0.75, [1] * 100), part(tmp_path, "b", 0.25, [1] * 2)
    found = Counter(tags(Mixture(parts=parts)))
    assert found["b"] == 2
    assert 6 <= found["a"] <= 9


def test_it_ends_at_the_count_of_documents(tmp_path):
    fields = {"document_field": "doc"}
    parts = part(tmp_path, "a", 0.5, [2] * 5, **fields), part(tmp_path, "b", 0.5, [3] * 5, **fields)
    assert tags(Mixture(parts=parts, count=3)) == "aabbbaa"


def test_files_that_were_read_are_recorded_by_part(tmp_path):
    parts = part(tmp_path, "a", 0.5, [1] * 5), part(tmp_path, "b", 0.5, [1] * 5)
    corpus = corpus_of(Mixture(parts=parts, count=4))
    assert len(list(corpus.records())) == 4
    assert [(shard["part"], shard["file"], shard["rows"]) for shard in corpus.shards()] == [
        ("a", str(tmp_path / "a.jsonl"), 2),
        ("b", str(tmp_path / "b.jsonl"), 2),
    ]
    assert corpus.truth is None


def test_a_mistake_in_a_part_is_named(tmp_path):
    parts = part(tmp_path, "a", 0.5, [1] * 5), part(tmp_path, "b", 0.5, [1], text_field="body")
    with pytest.raises(
        ValueError, match=r"b.jsonl, line 1 has no field 'body'; name in text_field one"
    ):
        tags(Mixture(parts=parts))


@given(st.lists(st.integers(0, 20), min_size=2, max_size=6).filter(any), st.integers(1, 200))
def test_no_part_is_ever_a_document_ahead_of_its_share(weights, length):
    shares = [weight / sum(weights) for weight in weights]
    counts = Counter[int]()
    for number, index in enumerate(islice(order_of(shares), length), start=1):
        counts[index] += 1
        ahead = [counts[one] - share * number for one, share in enumerate(shares)]
        assert max(ahead) < 1
        assert min(ahead) > 1 - len(shares) - 1e-9
    assert not any(counts[one] for one, weight in enumerate(weights) if weight == 0)


def test_ties_are_broken_by_order_and_not_by_rounding():
    # In floats 0.1 + 0.2 is more than 0.3, and the third would go before its turn.
    assert list(islice(order_of([0.3, 0.3, 0.4]), 10)) == [2, 0, 1, 2, 0, 1, 2, 0, 1, 2]
    assert list(islice(order_of([0.1] * 10), 20)) == [*range(10), *range(10)]
