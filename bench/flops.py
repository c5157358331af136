"""How many operations the products with weights take, and how many a card does at most.

Attention's own products are left out. Knows no bench.
"""

from transformers import PreTrainedConfig

from bench.synthetic import block_parameters

PEAK_FLOPS = 989e12  # H100 and H200 SXM, dense bf16; MFU elsewhere is relative to this all the same


def forward_flops(config: PreTrainedConfig, *, num_blocks: int) -> float:
    """A token through so many blocks: two operations a weight."""
    return 2.0 * num_blocks * block_parameters(config)


def lora_step_flops(
    config: PreTrainedConfig, num_adapter_weights: int, *, block_tokens: int, head_tokens: int
) -> float:
    """Forward and backward: a frozen weight costs two products a token, an adapter's three."""
    frozen = block_parameters(config) * config.num_hidden_layers
    head = config.vocab_size * config.hidden_size
    return block_tokens * (4.0 * frozen + 6.0 * num_adapter_weights) + head_tokens * 4.0 * head
