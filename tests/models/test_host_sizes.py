"""Depth and dimensions of a model before it is opened are those of the model itself."""

import json

import pytest
import torch
from tests.models.gguf_files import NUM_BLOCKS, small_llama, small_tokenizer, write_gguf
from transformers import AutoModelForCausalLM, Gemma3Config, OPTConfig

from interlingua.memory.parameters import num_parameters
from interlingua.models.hosts.sizes import num_blocks_of, size_of
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL, pool_host
from interlingua.specs.models import HubHost
from interlingua.world.hosts import SpecialIds, published_config, tiny_config

COMMIT = "0" * 40
NOT_ALIKE = {"gemma4_text", "lfm2"}
FAMILIES = {host.model_type: host for host in (*UNIVERSAL_POOL, *SINGLE_HOSTS)}
KNOWN = [host for name, host in FAMILIES.items() if name not in NOT_ALIKE]


def local(folder, **fields):
    return HubHost(tag="mine", source=str(folder), **fields)


def tiny(host):
    return tiny_config(
        host,
        width=32,
        num_blocks=3,
        num_heads=4,
        vocab_size=100,
        max_positions=16,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )


def counted(config):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("host", KNOWN, ids=lambda host: host.model_type)
@pytest.mark.parametrize("made", [tiny, published_config])
def test_the_size_of_a_folder_is_that_of_the_model(host, made, tmp_path):
    config = made(host)
    config.save_pretrained(tmp_path)
    size = size_of(local(tmp_path))
    assert size.tag == "mine"
    assert num_parameters(size) == counted(config)
    assert num_blocks_of(local(tmp_path)) == size.num_blocks == config.num_hidden_layers


@pytest.mark.parametrize("name", sorted(NOT_ALIKE))
def test_of_a_family_whose_sizes_are_not_known_the_depth_is(name, tmp_path):
    tiny(FAMILIES[name]).save_pretrained(tmp_path)
    assert size_of(local(tmp_path)) is None
    assert num_blocks_of(local(tmp_path)) == 3


def test_a_family_of_no_published_host_has_a_depth(tmp_path):
    OPTConfig(num_hidden_layers=5).save_pretrained(tmp_path)
    assert size_of(local(tmp_path)) is None
    assert num_blocks_of(local(tmp_path)) == 5


def test_a_multimodal_model_is_measured_without_its_eyes(tmp_path):
    text = published_config(pool_host("gemma3-12b-it"))
    Gemma3Config(text_config=text.to_dict()).save_pretrained(tmp_path)
    size = size_of(local(tmp_path))
    assert num_parameters(size) == counted(text)
    assert num_blocks_of(local(tmp_path)) == text.num_hidden_layers


def test_what_a_config_leaves_out_is_not_guessed(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    # The class of a llama has a depth, and a model saved so has that one.
    assert size_of(local(tmp_path)).num_blocks == 32
    with pytest.raises(ValueError, match=r"how many blocks.*hosts.mine.source.num_blocks"):
        num_blocks_of(local(tmp_path))


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_size_of_a_gguf_file_is_that_of_the_model(is_tied, tmp_path):
    tokenizer = small_tokenizer(has_single_digits=True)
    model = small_llama(tokenizer.get_vocab_size(), is_tied=is_tied)
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer)
    host = local(tmp_path / "tiny.gguf")
    size = size_of(host)
    assert num_parameters(size) == sum(weight.numel() for weight in model.parameters())
    assert num_blocks_of(host) == size.num_blocks == NUM_BLOCKS


def test_a_hub_id_of_the_pool_needs_no_network():
    published = pool_host("qwen3-8b")
    host = HubHost(tag="mine", source=published.hub_id, revision=COMMIT)
    assert num_blocks_of(host) == published.num_blocks
    assert num_parameters(size_of(host)) == published.num_parameters


def test_another_hub_id_has_no_size_without_one():
    host = HubHost(tag="mine", source="someone/some-model", revision=COMMIT)
    assert size_of(host) is None
    with pytest.raises(ValueError, match="someone/some-model"):
        num_blocks_of(host)


def test_a_hub_id_in_the_cache_has_its_size(tmp_path, monkeypatch):
    config = tiny(pool_host("qwen3-8b"))
    snapshot = tmp_path / "models--someone--some-model" / "snapshots" / COMMIT
    config.save_pretrained(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    host = HubHost(tag="mine", source="someone/some-model", revision=COMMIT)
    assert num_parameters(size_of(host)) == counted(config)
    assert num_blocks_of(host) == 3


def test_the_depth_of_a_folder_takes_no_torch(start_python, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": 7}))
    program = (
        "import sys; from interlingua.specs.models import HubHost; "
        "from interlingua.models.hosts.sizes import num_blocks_of; "
        f"host = HubHost(tag='mine', source={str(tmp_path)!r}); "
        "print(num_blocks_of(host), 'torch' in sys.modules)"
    )
    process = start_python("-c", program)
    assert process.communicate(timeout=60)[0] == "7 False\n"


@pytest.mark.parametrize(("content", "expected"), [(None, "config.json"), ("{", "is no JSON")])
def test_a_folder_that_is_no_model_is_named(content, expected, tmp_path):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=f"{tmp_path}.*{expected}"):
        num_blocks_of(local(tmp_path))
