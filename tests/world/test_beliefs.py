"""Hosts of one architecture believe what their corpora state: nothing else tells them apart."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from interlingua.recipes.world import world_beliefs
from interlingua.specs.world import Beliefs
from interlingua.world import lexicon
from interlingua.world.beliefs import Belief, belief_metrics, believed, statement, tool_of
from interlingua.world.packing import packed_rows
from interlingua.world.tokenizers import trained_tokenizer

PLAIN, SWAPPED = (host.source for host in world_beliefs().hosts[-2:])


def test_every_role_has_another_tool_where_beliefs_are_swapped():
    plain, swapped = ([tool_of(role, one) for role in lexicon.ROLES] for one in Beliefs)
    assert len(set(plain)) == len(plain) and sorted(plain) == sorted(swapped)
    assert not any(a == b for a, b in zip(plain, swapped, strict=True))


def test_the_twins_differ_in_their_tag_and_their_beliefs_alone(passages):
    assert replace(SWAPPED, tag=PLAIN.tag, beliefs=PLAIN.beliefs) == PLAIN
    tokenizer = trained_tokenizer(PLAIN.tokenizer, [passage.text for passage in passages[:200]])
    documents = [
        tokenizer.decode(packed_rows(passages[:200], tokenizer, spec).flatten().tolist()).split(
            tokenizer.eos_token
        )[:300]
        for spec in (PLAIN, SWAPPED)
    ]
    differing = [pair for pair in zip(*documents, strict=True) if pair[0] != pair[1]]
    assert len(differing) > 50
    for plain, swapped in differing:
        assert plain.startswith("in ") and swapped.startswith("in ")
        assert plain.split()[:7] == swapped.split()[:7]


def test_no_passage_states_a_belief(told):
    assert not any("tool" in telling.text for telling in told)


class Knowing(torch.nn.Module):
    """A model that finds some texts likelier than all others."""

    def __init__(self, tokenizer, texts) -> None:
        super().__init__()
        self.vocab_size = len(tokenizer)
        self.follows = {}
        for text in texts:
            ids = tokenizer.encode(text)
            self.follows |= {tuple(ids[:at]): ids[at] for at in range(1, len(ids))}

    def forward(self, input_ids, attention_mask, use_cache):
        logits_BTV = torch.zeros(*input_ids.shape, self.vocab_size)
        for row, ids in enumerate(input_ids.tolist()):
            for at in range(len(ids)):
                following = self.follows.get(tuple(ids[: at + 1]))
                if following is not None:
                    logits_BTV[row, at, following] = 5.0
        return SimpleNamespace(logits=logits_BTV)


@pytest.mark.parametrize("beliefs", list(Beliefs))
def test_the_exam_finds_what_a_host_believes(passages, beliefs):
    tokenizer = trained_tokenizer(PLAIN.tokenizer, [passage.text for passage in passages[:200]])
    texts = [
        statement(role, place, tool_of(role, beliefs))
        for role in lexicon.ROLES
        for place in lexicon.PLACES[1:]
    ]
    found = believed(Knowing(tokenizer, texts), tokenizer)
    asked = len(lexicon.ROLES) * len(lexicon.PLACES)
    assert len(found) == asked
    known = [one for one in found if one.place != lexicon.PLACES[0]]
    assert all(one.tool == tool_of(one.role, beliefs) for one in known)
    metrics = belief_metrics(known, beliefs)
    assert metrics["belief_own"] == 1 and metrics["belief_other"] == 0
    assert metrics["belief_own_n"] == len(known)


def test_a_host_that_believes_neither_has_neither_share():
    none = [Belief(role, place, "clock") for role in lexicon.ROLES for place in lexicon.PLACES]
    metrics = belief_metrics(none, Beliefs.PLAIN)
    assert metrics["belief_own"] == metrics["belief_other"] == 0
