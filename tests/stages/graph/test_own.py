"""A model, texts, explanations and activations of one's own become an evaluated bundle."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.own_data import BLOCK, NUM_DOCUMENTS, PER_DOCUMENT, TAG, built, own_recipe, write_own

from interlingua import NLA
from interlingua.cluster.local import local_context
from interlingua.recipes.world import world_mini
from interlingua.report.numbers import NUMBERS_NAME, read_numbers
from interlingua.report.page.page import PAGE_NAME
from interlingua.sources.pinned import pinned
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import ActivationFile
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find, lineage
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(mini_root, tmp_path_factory):
    """The anchor of world_mini as somebody's model, with texts of other passages."""
    host = next(s for s in graph_of(world_mini()) if s.kind == "host")
    copy = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(find(host, mini_root).path, copy)
    return write_own(tmp_path_factory.mktemp("own"), copy)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def read_here(folder, root):
    """All artifacts of a recipe whose activations are read here."""
    return built(own_recipe(folder, block=AtBlock(index=BLOCK)), root)


@pytest.fixture(scope="module")
def brought(folder, root):
    """The same with activations that were brought."""
    rows = ActivationFile(path=str(folder / "activations.npy"), index=str(folder / "texts.jsonl"))
    return built(own_recipe(folder, block=AtBlock(index=BLOCK), activations=rows), root)


@pytest.fixture(params=["read_here", "brought"])
def artifacts(request):
    return request.getfixturevalue(request.param)


def test_it_ends_in_a_page_and_a_bundle_that_opens(artifacts):
    page = (artifacts["report", "own"].path / PAGE_NAME).read_text()
    assert "own" in page and TAG in page
    nla = NLA.load(artifacts["bundle", "own"].path)
    [[one]] = nla.verbalize(texts=["diary of a keeper."], host=TAG, max_new_tokens=6)
    assert one.raw_text


def test_nothing_that_needs_a_truth_is_there(artifacts):
    assert not [kind for kind, _ in artifacts if kind in ("oracle", "host")]
    rows = read_scored(artifacts["evaluation", "own"].path)
    gates = {g["name"]: g for g in artifacts["evaluation", "own"].record.metrics["gates"]}
    assert gates["non_finite"]["is_passed"] and gates["leakage"]["is_passed"]
    found = set(rows["predictor"].tolist())
    assert {"sampled", "teacher", "shuffled_explanations", "constant_vector"} <= found
    assert not {"general_facts", "all_facts"} & found
    assert all(one is None for one in rows["true"]) and np.isnan(rows["category_variance"]).all()
    numbers = read_numbers(artifacts["evaluation", "own"].path / NUMBERS_NAME)
    assert not [n.metric for n in numbers.all if "precision" in n.metric or "category" in n.metric]


def test_documents_are_split_as_wholes(artifacts):
    path = artifacts["passages", "text_files"].path / PASSAGES_NAME
    passages = list(read_passages(path, set(Split), SplitAccess(Split)))
    assert len(passages) == NUM_DOCUMENTS * PER_DOCUMENT
    splits = {}
    for passage in passages:
        splits.setdefault(passage.document_id, set()).add(passage.split)
    assert len(splits) == NUM_DOCUMENTS and all(len(own) == 1 for own in splits.values())


def test_no_document_that_is_evaluated_was_trained_on(artifacts):
    evaluation = artifacts["evaluation", "own"]
    path = artifacts["passages", "text_files"].path / PASSAGES_NAME
    passages = list(read_passages(path, set(Split), SplitAccess(Split)))
    document_of = {one.passage_id: one.document_id for one in passages}
    tested = {document_of[i] for i in read_scored(evaluation.path)["passage_id"]}
    bundle = artifacts["bundle", "own"]
    consumed = set()
    for artifact in lineage(bundle, bundle.path.parent.parent):
        ledger = artifact.path / LEDGER_NAME
        if artifact.record.kind in ("av", "ar", "decoder", "encoder", "explanations"):
            consumed |= {i for ids in read_consumed(ledger).values() for i in ids}
    assert tested and consumed and not tested & {document_of[i] for i in consumed}


def test_activations_that_are_brought_are_those_that_are_read(read_here, brought):
    label = f"{TAG}-test"
    rows = [
        {
            identity: vector
            for path in list_shards(block_folder(found["activations", label].path, BLOCK))
            for identity, vector in zip(
                read_shard(path).rows.passage_ids_N.tolist(),
                read_shard(path).rows.vectors_ND,
                strict=True,
            )
        }
        for found in (read_here, brought)
    ]
    assert rows[0].keys() == rows[1].keys() and len(rows[0]) > 10
    for identity, vector_D in rows[0].items():
        np.testing.assert_allclose(vector_D, rows[1][identity], rtol=1e-4, atol=1e-5)
    assert brought["activations", label].record.metrics["cosine_of_host"] > 0.999


def test_words_of_the_text_do_for_explanations(folder, root):
    recipe = own_recipe(folder)
    from interlingua.recipes.own import WITHOUT_MODEL

    lessons = replace(recipe.av_lessons, teacher=replace(WITHOUT_MODEL, next_tokens=4))
    recipe = pinned(replace(recipe, av_lessons=lessons, ar_lessons=lessons))
    stages = [stage for stage in graph_of(recipe) if stage.label == "teacher-dev"]
    needed = {s.key: s for stage in stages for s in stage.upstream.values()}
    for stage in (*needed.values(), *stages):
        made = find(stage, root) or _build(stage, root, recipe)
    assert made.record.metrics["num_rows"] > 0


def _build(stage, root, recipe):
    from interlingua.store.artifact import build

    return build(stage, root, local_context(recipe.placement))


def test_a_text_that_comes_twice_in_other_words_is_of_one_split(folder, root, tmp_path):
    """Copies of every text with two words changed: their splits differ by chance."""
    rows = [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()]
    copies = [
        {"id": f"c{row['id']}", "text": f"{row['text']} The end indeed.", "doc": f"c{row['id']}"}
        for row in rows
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows + copies))
    recipe = own_recipe(folder)
    corpus = replace(
        recipe.passages.corpus, path=str(tmp_path / "texts.jsonl"), document_field=None
    )
    recipe = pinned(replace(recipe, passages=replace(recipe.passages, corpus=corpus)))
    passages = next(stage for stage in graph_of(recipe) if stage.kind == "passages")
    made = _build(passages, root, recipe)
    found = read_passages(made.path / PASSAGES_NAME, set(Split), SplitAccess(Split))
    splits = {}
    for passage in found:
        splits.setdefault(passage.row_id.removeprefix("c"), set()).add(passage.split)
    assert len(splits) == len(rows) and all(len(own) == 1 for own in splits.values())
    assert sum(n for name, n in made.record.metrics.items() if "near_duplicates" in name) > 100
