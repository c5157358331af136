"""The passages stage: every text once, in its split, with its facts and mentions."""

from collections import Counter
from dataclasses import replace

import pytest

from interlingua.specs.splits import Split
from interlingua.stages.rows.passages import passages_stage
from interlingua.store.artifact import build, find
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess, passage_id, split_of
from interlingua.world.text import tellings


@pytest.fixture(scope="module")
def artifact(recipe, root):
    return find(passages_stage(recipe.passages), root)


def read(artifact):
    path = artifact.path / PASSAGES_NAME
    return list(read_passages(path, set(Split), SplitAccess(Split)))


@pytest.fixture(scope="module")
def passages(artifact):
    return read(artifact)


def test_the_passages_are_those_of_the_world_in_order(recipe, passages) -> None:
    spec = recipe.passages.corpus
    told = list(tellings(spec.world, 0, spec.num_passages))
    assert [passage.text for passage in passages] == list(dict.fromkeys(t.text for t in told))
    for passage, telling in zip(passages, told, strict=True):
        assert passage.facts == telling.as_strings()
        assert passage.mentions == telling.mentions


def test_ids_and_splits_are_functions_of_the_text(recipe, passages) -> None:
    for passage in passages:
        assert passage.passage_id == passage.document_id == passage_id(passage.text)
        assert passage.split == split_of(passage.document_id, recipe.passages.split)


def test_the_metrics_count_the_passages_of_every_split(artifact, passages) -> None:
    counts = Counter(f"passages/{passage.split}" for passage in passages)
    metrics = artifact.record.metrics
    assert {name: metrics[name] for name in metrics if "/" in name} == counts
    assert {Split(name.partition("/")[2]) for name in counts} == set(Split)
    assert metrics["num_passages"] == len(passages)
    # A text that comes twice is one passage: ids are those of texts.
    assert metrics["num_records"] - metrics.get("num_repeated", 0) == len(passages)


def test_more_passages_begin_with_the_same_ones(recipe, passages, tmp_path, context) -> None:
    corpus = recipe.passages.corpus
    longer_corpus = replace(corpus, num_passages=corpus.num_passages + 50)
    spec = replace(recipe.passages, corpus=longer_corpus)
    longer = build(passages_stage(spec), tmp_path, context)
    assert read(longer)[: len(passages)] == passages


def test_two_builds_write_the_same_file(recipe, artifact, tmp_path, context) -> None:
    again = build(passages_stage(recipe.passages), tmp_path, context)
    first, second = ((a.path / PASSAGES_NAME).read_bytes() for a in (artifact, again))
    assert first == second
