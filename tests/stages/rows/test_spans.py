"""A recipe that reads sentences, from the rows to the report: every fact is one of the sentence."""

import os
import shutil
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from interlingua.cluster.local import local_context
from interlingua.core.spans import sentences
from interlingua.recipes.world import world_mini
from interlingua.report.terminal.explanations import sample_panels
from interlingua.specs.evaluation import Predictor
from interlingua.specs.extraction import Spans
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import build, find
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import read_scored
from interlingua.store.rows.splits import SplitAccess
from interlingua.world.teacher import facts_asserted
from interlingua.world.truth import WorldTruth

pytestmark = pytest.mark.slow

READ = Spans(per_passage=1, min_sentence=2, seed=0)
RECIPE = replace(world_mini(), name="spans", read=READ)
STAGES = {stage.name: stage for stage in graph_of(RECIPE)}


@pytest.fixture(scope="module")
def root(mini_root, tmp_path_factory):
    """The whole recipe in one process, on the hosts of the session."""
    path = tmp_path_factory.mktemp("spans") / "root"
    path.mkdir()
    for kind in ("passages", "host"):
        shutil.copytree(mini_root / kind, path / kind, copy_function=os.link)
    context = local_context(RECIPE.placement)
    for stage in STAGES.values():
        build(stage, path, context)
    return path


@pytest.fixture(scope="module")
def passages(root):
    path = find(STAGES["passages/world"], root).path / PASSAGES_NAME
    return {p.passage_id: p for p in read_passages(path, set(Split), SplitAccess(set(Split)))}


def facts_at(passage, position):
    (span,) = (one for one in sentences(passage.text) if one[0] == position)
    return WorldTruth().of_span(passage, span)


def test_the_teacher_names_facts_of_the_sentence_alone(root, passages):
    folder = find(STAGES["explanations/teacher-dev"], root).path
    texts = read_explanations(folder, {Split.DEV}, SplitAccess({Split.DEV}))
    for (passage_id, position), samples in texts.items():
        facts = facts_at(passages[passage_id], position)
        for text in samples:
            assert set(facts_asserted(text).facts) <= set(facts.items())
    assert len(texts) > 10
    num_named = [len(facts_asserted(s[0]).facts) for s in texts.values()]
    assert 1 <= min(num_named) < max(num_named)


def test_a_scored_row_says_which_sentence_it_is_and_so_does_the_screen(root, passages):
    folder = find(STAGES["evaluation/spans"], root).path
    rows = read_scored(folder)
    names = ("passage_id", "position", "span_end")
    for passage_id, start, end in zip(*(rows[name] for name in names), strict=True):
        assert (start, end) in sentences(passages[passage_id].text)
    console = Console(width=400, record=True, file=StringIO())
    for panel in sample_panels(folder, Predictor.SAMPLED):
        console.print(panel)
    shown = console.export_text()
    assert "one sentence of a passage" in shown and "token " not in shown
    passage = passages[rows["passage_id"][0]]
    assert passage.text[rows["position"][0] : rows["span_end"][0]] in shown
    assert passage.text not in shown
    page = next(find(STAGES["report/spans"], root).path.glob("*.html")).read_text()
    assert "Character at which the sentence begins." in page and "Token position." not in page


def test_every_host_is_scored_on_the_same_sentences_by_their_facts(root, passages):
    keys = []
    for host in RECIPE.hosts:
        rows = read_scored(find(STAGES[f"scored/{host.tag}"], root).path)
        keys.append(set(zip(rows["passage_id"], rows["position"], strict=True)))
        for passage_id, position, true in zip(
            rows["passage_id"], rows["position"], rows["true"], strict=True
        ):
            if true is not None and len(true):
                facts = facts_at(passages[passage_id], position)
                assert {one.partition("=")[0] for one in true} <= facts.keys()
    assert keys[0] == keys[1] == keys[2] and min(position for _, position in keys[0]) > 0


def test_an_oracle_knows_what_the_sentence_mentions(root):
    metrics = find(STAGES["oracle/toy-gpt2-medium"], root).record.metrics
    assert metrics["all_facts/fve_centred_n"] > 10
