"""What the world's teacher says: true, keyed, and at a token nothing that is still to come."""

from dataclasses import replace

import pytest

from interlingua.cluster.local import local_context
from interlingua.recipes.world import world_mini
from interlingua.specs.extraction import TokenPositions
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import build, find
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed
from interlingua.world.teacher import facts_asserted, last_word_of

pytestmark = pytest.mark.slow


def texts_of(stage, root, split):
    return read_explanations(find(stage, root).path, {split}, SplitAccess({split}))


def passages_of(stage, root, split):
    path = find(stage.inputs.passages, root).path / PASSAGES_NAME
    return {p.passage_id: p for p in read_passages(path, {split}, SplitAccess({split}))}


@pytest.fixture(scope="module")
def taught():
    return {stage.label: stage for stage in graph_of(world_mini()) if stage.kind == "explanations"}


@pytest.mark.parametrize(
    ("label", "split", "samples", "counts"),
    [
        ("teacher-av_sft", Split.AV_SFT, 3, {2, 3, 4}),
        ("teacher-ar_sft", Split.AR_SFT, 12, set(range(1, 8))),
    ],
)
def test_every_passage_is_explained_by_true_facts(label, split, samples, counts, taught, mini_root):
    texts = texts_of(taught[label], mini_root, split)
    passages = passages_of(taught[label], mini_root, split)
    assert {passage_id for passage_id, _ in texts} == passages.keys()
    found = set()
    for (passage_id, position), said in texts.items():
        assert position == -1 and len(said) == samples
        for text in said:
            facts = facts_asserted(text)
            assert facts.true_facts(passages[passage_id].facts) == facts.facts
            found.add(len(facts.facts))
    assert found == counts
    ledger = read_consumed(find(taught[label], mini_root).path / LEDGER_NAME)
    assert ledger == {split: set(passages)}


@pytest.fixture(scope="module")
def token_root(mini_root, tmp_path_factory):
    """The anchor read at tokens, and what is said of them."""
    root = tmp_path_factory.mktemp("tokens")
    for folder in mini_root.iterdir():
        if folder.name in {"passages", "host"}:
            (root / folder.name).symlink_to(folder)
    context = local_context(token_recipe().placement)
    for stage in needed_for("explanations", graph_of(token_recipe())):
        build(stage, root, context)
    return root


def token_recipe():
    mini = world_mini()
    return replace(
        mini,
        name="mini_token",
        hosts=mini.hosts[:1],
        trained=(),
        held_out=(),
        read=TokenPositions(per_passage=4, min_position=4, seed=0),
    )


def test_at_a_token_only_what_was_told_by_then_is_said(token_root):
    from interlingua.models.hosts.host import load_tokenizer

    stages = {(s.kind, s.label): s for s in graph_of(token_recipe())}
    stage = stages["explanations", "teacher-av_sft"]
    texts = texts_of(stage, token_root, Split.AV_SFT)
    passages = passages_of(stage, token_root, Split.AV_SFT)
    host = next(s for (kind, _), s in stages.items() if kind == "host")
    tokenizer = load_tokenizer(str(find(host, token_root).path))
    num_early = 0
    for (passage_id, position), said in texts.items():
        passage = passages[passage_id]
        ids = tokenizer(passage.text)["input_ids"]
        # A token may end within a letter.
        prefix = tokenizer.decode(ids[: position + 1]).rstrip("\ufffd")
        assert passage.text.startswith(prefix)
        told = {m.fact for m in passage.mentions if m.end <= len(prefix)} | {"language"}
        for text in said:
            # A letter that the token only begins counts as read.
            ends = (prefix, passage.text[: len(prefix) + 1])
            assert any(end.rstrip().endswith(last_word_of(text)) for end in ends)
            facts = facts_asserted(text)
            assert facts.facts and {fact for fact, _ in facts.facts} <= told
            assert facts.true_facts(passage.facts) == facts.facts
            num_early += len(facts.facts) < 3
    assert num_early > 0 and len({position for _, position in texts}) > 5
