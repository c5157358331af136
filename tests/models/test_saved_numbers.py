"""The arithmetic of activations is what autograd keeps of a block."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from interlingua.memory.tokens import saved_numbers
from interlingua.models.pair.trunk import add_lora
from interlingua.published.hosts import pool_host
from interlingua.recipes.parts import ALL_LINEAR
from interlingua.specs.training import LoraSpec

ROWS, TOKENS = 2, 40
LORA = LoraSpec(rank=4, alpha=8.0, dropout=0.0, targets=ALL_LINEAR, rank_stabilised=False)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_a_block_keeps_no_more_than_the_arithmetic_says_and_not_much_less(lora):
    two, three = (kept_bytes(num_blocks, lora) for num_blocks in (2, 3))
    per_token = (three - two) / (ROWS * TOKENS * 2)
    expected = 12 * 128 + 4 * (8 + 2) * 32 + 4 * 512
    assert 0.8 * expected < per_token <= expected


def test_of_a_published_trunk():
    assert saved_numbers(pool_host("qwen3-4b")) == 12 * 2560 + 4 * 40 * 128 + 4 * 9728


def kept_bytes(num_blocks, lora):
    """Bytes of all that a backward of a bf16 trunk needs, but for its weights."""
    config = Qwen3Config(
        hidden_size=128,
        intermediate_size=512,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=32,
        num_hidden_layers=num_blocks,
        vocab_size=64,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if lora is not None:
        add_lora(model, lora, seed=0)
        model.bfloat16()  # as DeepSpeed has it: fp32 adapters would need fp32 inputs
    owned = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held: an address is not used again
        return tensor

    embeds_BTD = torch.randn(ROWS, TOKENS, 128, dtype=torch.bfloat16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.train()(inputs_embeds=embeds_BTD, use_cache=False, logits_to_keep=1)
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in owned)
