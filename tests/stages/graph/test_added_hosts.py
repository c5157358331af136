"""Hosts of families that the pool does not have go from a folder to an encoder as they are."""

import math
from dataclasses import replace

import pytest
import torch
from tests.local_host import local_host
from transformers import CONFIG_MAPPING

from interlingua.cluster.local import local_context
from interlingua.models.hosts.sizes import num_blocks_of
from interlingua.recipes.world import world_mini
from interlingua.specs.extraction import Pooled
from interlingua.specs.hosts import AtBlock
from interlingua.specs.models import HostSpec
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.stages.graph.order import added_host_stages, graph_of
from interlingua.store.artifact import build
from interlingua.world.hosts import fresh_model
from interlingua.world.text import tellings
from interlingua.world.tokenizers import trained_tokenizer

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}
FAMILIES = {
    "olmo2": {**SIZES, "num_key_value_heads": 4},
    "stablelm": {**SIZES, "num_key_value_heads": 4},
    "falcon": {**SIZES, "alibi": False},
    "opt": {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 32, "do_layer_norm_before": True},
    "granite": {**SIZES, "num_key_value_heads": 4, "embedding_multiplier": 12.0},
}


def added(*named) -> HostSpec:
    return HostSpec(source=local_host(*named), block=AtBlock(index=1), max_tokens=256)


@pytest.fixture(scope="module")
def tokenizer():
    spec = TokenizerSpec(kind=TokenizerKind.BYTE_BPE, vocab_size=900, has_bos=True, chat=None)
    told = tellings(world_mini().passages.corpus.world, 0, 300)
    return trained_tokenizer(spec, (telling.text for telling in told))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_family_needs_no_change(family, tokenizer, mini_root, tmp_path) -> None:
    torch.set_num_threads(1)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CONFIG_MAPPING[family](
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **ids, **FAMILIES[family]
    )
    fresh_model(config, seed=0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    recipe = world_mini()
    host = added(f"tiny-{family}", str(tmp_path), None)
    assert num_blocks_of(host.source) == 3
    stages = added_host_stages(recipe, host)
    context = local_context(recipe.placement)
    built = {(s.kind, s.label): build(s, mini_root, context) for s in stages}
    metrics = built["encoder", host.tag].record.metrics
    assert metrics["width"] == 32
    assert metrics["num_rows"] > 40
    assert metrics["num_dropped"] == 0
    # Random models of 32 dimensions on 59 passages: numbers, not quality.
    assert math.isfinite(metrics["dev/fve_centred_own"])
    assert metrics["constant/fve_centred_own"] <= 0


def test_a_folder_that_changed_is_refused(tokenizer, mini_root, tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    host = added("changed", str(tmp_path), None)
    (tmp_path / "config.json").write_text('{"model_type": "opt"}')
    stages = added_host_stages(world_mini(), host)
    adopted = next(stage for stage in stages if stage.kind == "adopted")
    with pytest.raises(ValueError, match="has changed"):
        build(adopted, mini_root, local_context(world_mini().placement))


def test_a_hub_id_needs_a_revision() -> None:
    with pytest.raises(ValueError, match="revision"):
        local_host("some", "someone/some-model", None)


@pytest.mark.parametrize("tag", sorted(world_mini().roles()))
def test_a_tag_of_the_recipes_own_hosts_is_refused(tag) -> None:
    host = added(tag, "someone/some-model", "0" * 40)
    with pytest.raises(ValueError, match=f"{tag}; world_mini has a host of that tag"):
        added_host_stages(world_mini(), host)


@pytest.mark.parametrize("includes_first", [False, True])
def test_it_is_read_as_the_recipes_own_hosts_are(includes_first) -> None:
    recipe = replace(world_mini(), read=Pooled(include_first=includes_first))
    host = added("mine", "someone/some-model", "0" * 40)
    stages = added_host_stages(recipe, host)
    reads = {stage.spec.read for stage in stages if stage.kind == "activations"}
    assert reads == {recipe.read}


def test_it_is_fitted_to_the_encoders_that_the_avs_training_left() -> None:
    mini = world_mini()
    recipe = replace(mini, av=replace(mini.av, encoder_learning_rate=1e-3))
    host = added("mine", "someone/some-model", "0" * 40)
    stages = {(s.kind, s.label): s for s in added_host_stages(recipe, host)}
    (tag,) = recipe.trained
    assert stages["encoder", "mine"].inputs.targets[tag].encoder is stages["tuned_encoder", tag]
    # As the recipe's own held-out host is.
    graph = {(s.kind, s.label): s for s in graph_of(recipe)}
    (held_out,) = recipe.held_out
    theirs = graph["encoder", held_out].inputs.targets[tag].encoder
    assert theirs.fingerprint == stages["tuned_encoder", tag].fingerprint
    assert [s.label for s in graph_of(recipe) if s.kind == "encoder"].count(held_out) == 1
    plain = {(s.kind, s.label): s for s in added_host_stages(mini, host)}
    assert ("av", "sft") not in plain
    assert plain["encoder", "mine"].inputs.targets[tag].encoder.kind == "encoder"
