"""One AV for several hosts, by LoRA: the trunk stays as it was, and a tag in the prompt says whose.

Of `world_mini`, whose AV learns from two hosts.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.nla.pair import opened_verbalizer
from interlingua.stages.sft.best_weights import AV_PREFIX, weights_of
from interlingua.store.artifact import find
from interlingua.store.hosts import opened_from

RECIPE = world_mini()
BATCH_ROWS = 16


@pytest.fixture(scope="module")
def pair(mini_nla_root):
    wanted = {("host", RECIPE.anchor), ("av", "sft"), ("ar", "sft")}
    stages = {(s.kind, s.label): s for s in graph_of(RECIPE) if (s.kind, s.label) in wanted}
    trunk, av, ar = (
        find(stages[one], mini_nla_root)
        for one in (("host", RECIPE.anchor), ("av", "sft"), ("ar", "sft"))
    )
    return PairInputs(trunk, av, ar)


def opened(pair, is_trained=True):
    return opened_verbalizer(pair, device="cpu", batch_rows=BATCH_ROWS, is_trained=is_trained)


def test_the_av_learns_from_several_hosts_by_lora(pair):
    assert len(pair.av.record.spec["host_tags"]) == 2
    assert RECIPE.av.lora is not None and "{host_tag}" in RECIPE.av.template
    names = list(weights_of(pair.av, AV_PREFIX))
    assert names and all("lora_" in name for name in names)


def test_training_leaves_every_weight_of_the_trunk_as_it_was(pair):
    """Adapters alone moved, and they did move."""
    source, revision = opened_from(pair.trunk)
    trunk = AutoModelForCausalLM.from_pretrained(source, revision=revision).state_dict()
    trained, fresh = (
        dict(opened(pair, is_trained).verbalizer.trunk.model.named_parameters())
        for is_trained in (True, False)
    )
    adapters = {name for name in trained if "lora_" in name}
    plain = {name.replace(".base_layer", ""): weight for name, weight in trained.items()}
    of_trunk = [name for name in plain if name in trunk]
    assert len(of_trunk) == len(trained) - len(adapters)
    assert all(torch.equal(plain[name], trunk[name]) for name in of_trunk)
    assert any(not torch.equal(trained[name], fresh[name]) for name in adapters)


def test_another_tag_is_another_prompt_and_another_likelihood(pair):
    av = opened(pair)
    tags = pair.av.record.spec["host_tags"]
    prompts = [av.prompt(tag).ids_T.tolist() for tag in tags]
    assert prompts[0] != prompts[1]
    v_NE = torch.randn(4, av.verbalizer.trunk.model.config.hidden_size)
    nlls = [av.nll(tag, v_NE, ["about a farm."] * 4)[0] for tag in tags]
    assert (nlls[0] != nlls[1]).all()
