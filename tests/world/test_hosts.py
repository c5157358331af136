"""Fresh tiny models are random by their seed alone and keep what is special of their family."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.specs.hosts import PoolHost
from interlingua.world.hosts import SpecialIds, fresh_model, published_config, tiny_config

torch.set_num_threads(1)


def config_of(host: PoolHost, num_blocks: int = 3) -> PreTrainedConfig:
    return tiny_config(
        host,
        width=32,
        num_blocks=num_blocks,
        num_heads=4,
        vocab_size=100,
        max_positions=32,
        special_ids=SpecialIds(bos=1, eos=2, pad=3),
    )


@pytest.mark.parametrize("host", UNIVERSAL_POOL, ids=lambda host: host.tag)
@pytest.mark.parametrize("num_blocks", [1, 2, 3])
def test_a_tiny_host_of_any_depth_runs_and_knows_its_special_ids(
    host: PoolHost, num_blocks: int
) -> None:
    config = config_of(host, num_blocks)
    model = fresh_model(config, seed=0)
    logits_BTV = model(torch.arange(32)[None]).logits
    assert logits_BTV.shape == (1, 32, 100)
    assert logits_BTV.isfinite().all()
    assert config.model_type == host.model_type
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 3)
    is_tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert is_tied == host.tied_embeddings
    assert not any(m.p for m in model.modules() if isinstance(m, nn.Dropout))


@pytest.mark.parametrize("host", UNIVERSAL_POOL, ids=lambda host: host.tag)
def test_a_later_token_never_changes_an_earlier_one(host: PoolHost) -> None:
    model = fresh_model(config_of(host), seed=0).eval()
    ids_BT = torch.arange(4, 24)[None]
    changed_BT = ids_BT.clone()
    changed_BT[0, -1] = 99
    first_BTV, second_BTV = model(ids_BT).logits, model(changed_BT).logits
    assert torch.allclose(first_BTV[:, :-1], second_BTV[:, :-1], atol=1e-6)
    assert not torch.allclose(first_BTV[:, -1], second_BTV[:, -1], atol=1e-6)


def test_the_seed_alone_decides_the_weights() -> None:
    config = config_of(pool_host("qwen3-1p7b"))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = fresh_model(config, seed=0).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again, other = (
        fresh_model(config, seed=0).state_dict(),
        fresh_model(config, seed=1).state_dict(),
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_hosts_of_one_family_differ_where_the_published_ones_do() -> None:
    grouped, full = config_of(pool_host("yagpt-5-8b")), config_of(pool_host("deepseek-llm-7b"))
    assert (grouped.num_key_value_heads, full.num_key_value_heads) == (1, 4)
    tied, untied = config_of(pool_host("qwen2p5-0p5b")), config_of(pool_host("qwen2p5-7b"))
    assert (tied.tie_word_embeddings, untied.tie_word_embeddings) == (True, False)


def test_wrong_sizes_are_refused() -> None:
    host = pool_host("qwen3-1p7b")
    with pytest.raises(ValueError, match="width is 30"):
        tiny_config(
            host, width=30, num_blocks=2, num_heads=4, vocab_size=9, max_positions=8,
            special_ids=SpecialIds(bos=1, eos=2, pad=3),
        )  # fmt: skip
    with pytest.raises(ValueError, match="'mamba'.*llama"):
        published_config(replace(host, model_type="mamba"))
