"""Attention of one query a head by plain products of matrices, which a CPU is fast at.

Knows no cache. The kernel of torch walks bf16 keys head by head here, at a tenth of the speed.
B rows, H heads (in products: heads of keys), G query heads that share one of those, T tokens (of
queries: 1), D width of a head.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "grouped"


@contextmanager
def grouped_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let a model on a CPU whose attention is SDPA decode with `attend`; others are left as is."""
    if model.config._attn_implementation != "sdpa" or model.device.type != "cpu":
        yield
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")


def attend(
    module: nn.Module,
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The result of SDPA; several queries, or a mask that adds, are left to SDPA itself.

    A mask of one query says which keys it sees; without one it is the newest token and sees all.
    """
    num_rows, num_heads, num_queries, width = query_BHTD.shape
    is_added = attention_mask is not None and attention_mask.dtype != torch.bool
    if num_queries > 1 or is_added or options.get("position_bias") is not None:
        return sdpa_attention_forward(
            module, query_BHTD, key_BHTD, value_BHTD, attention_mask, scaling=scaling, **options
        )
    scaling = width**-0.5 if scaling is None else scaling
    # Heads that share their keys become rows of one product: nothing is repeated.
    query_BHGD = query_BHTD.reshape(num_rows, key_BHTD.shape[1], -1, width)
    # Keys stand on the left: as the right factor, a view into a cache would be copied or walked.
    scores_BHTG = (key_BHTD @ query_BHGD.transpose(2, 3)).float() * scaling
    if attention_mask is not None:  # [B, 1, 1, T]
        scores_BHTG.masked_fill_(~attention_mask.transpose(2, 3), -torch.inf)
    # The keys stand in dimension 2 here, the queries last.
    weights_BHTG = scores_BHTG.softmax(2).to(value_BHTD.dtype)
    mixed_BHGD = weights_BHTG.transpose(2, 3) @ value_BHTD
    return mixed_BHGD.reshape(num_rows, 1, num_heads, -1), None
