"""Configurations of the pool's families at any size, and fresh models from them.

Knows no weights of anybody: a tiny host is random until the world trains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from interlingua.specs.hosts import HostSize, PoolHost, tiny_size

STANDARD_NAMES = {
    "width": "hidden_size",
    "num_blocks": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "intermediate_width": "intermediate_size",
    "vocab_size": "vocab_size",
    "max_positions": "max_position_embeddings",
    "tied_embeddings": "tie_word_embeddings",
}
# per family: size -> its own name, or None where the family derives or lacks it
OTHER_NAMES: dict[str, dict[str, str | None]] = {
    "gpt2": {
        "width": "n_embd",
        "num_blocks": "n_layer",
        "num_heads": "n_head",
        "num_kv_heads": None,
        "head_dim": None,
        "intermediate_width": "n_inner",
        "max_positions": "n_positions",
    },
    "bloom": {
        "num_blocks": "n_layer",
        "num_heads": "n_head",
        "num_kv_heads": None,
        "head_dim": None,
        "intermediate_width": None,
        "max_positions": None,
    },
    "gpt_neo": {
        "num_blocks": "num_layers",
        "num_heads": "num_heads",
        "num_kv_heads": None,
        "head_dim": None,
    },
    "gpt_neox": {"num_kv_heads": None, "head_dim": None},
    "gemma3_text": {},
    "gemma4_text": {},
    "lfm2": {"head_dim": None},
    "llama": {},
    "mistral": {},
    "nemotron": {},
    "phi": {"head_dim": None},
    "qwen2": {"head_dim": None},
    "qwen3": {},
    "smollm3": {"head_dim": None},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialIds:
    """The ids a configuration must name."""

    bos: int
    eos: int
    pad: int


def published_config(host: PoolHost) -> PreTrainedConfig:
    """The configuration with the published dimensions: for the meta device, not for a laptop."""
    # the configuration classes want lists where a spec must hold tuples
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in host.family_fields}
    return config_for(host.model_type, host, lists)


def tiny_config(
    host: PoolHost,
    *,
    width: int,
    num_blocks: int,
    num_heads: int,
    vocab_size: int,
    max_positions: int,
    special_ids: SpecialIds,
) -> PreTrainedConfig:
    """A small configuration of the host's family, with its tying and its head and MLP ratios."""
    size = tiny_size(
        host,
        width=width,
        num_blocks=num_blocks,
        num_heads=num_heads,
        vocab_size=vocab_size,
        max_positions=max_positions,
    )
    special = {
        "bos_token_id": special_ids.bos,
        "eos_token_id": special_ids.eos,
        "pad_token_id": special_ids.pad,
    }
    return config_for(host.model_type, size, _tiny_fields(host.model_type, size) | special)


def config_for(
    model_type: str, size: HostSize, family_fields: Mapping[str, object]
) -> PreTrainedConfig:
    """The family's real configuration at this size, without dropout."""
    if model_type not in OTHER_NAMES:
        known = ", ".join(OTHER_NAMES)
        raise ValueError(f"model_type is {model_type!r}; the families known here: {known}")
    names = STANDARD_NAMES | OTHER_NAMES[model_type]
    sizes = {
        name: getattr(size, f.name) for f in fields(HostSize) if (name := names[f.name]) is not None
    }
    fixed = _fixed_fields(model_type, size)
    return CONFIG_MAPPING[model_type](**{**sizes, **fixed, **family_fields})


def fresh_model(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A causal language model in fp32, random by the seed alone; leaves global randomness as is."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def _fixed_fields(model_type: str, size: HostSize) -> dict[str, object]:
    match model_type:
        case "gpt2":
            return {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        case "gpt_neo":
            # Global and local in turn; where the depth is odd the last block is global.
            pairs: list[list[object]] = [[["global", "local"], size.num_blocks // 2]]
            return {"attention_types": pairs + [[["global"], 1]] * (size.num_blocks % 2)}
        case "lfm2":
            # the width given is the width built: by default two thirds of it would be
            return {"block_auto_adjust_ff_dim": False}
    return {}


def _tiny_fields(model_type: str, size: HostSize) -> dict[str, object]:
    # at these lengths a sliding window would be all of the text: it is set to just that
    kinds = ["sliding_attention", "full_attention"]
    gemma = {
        "sliding_window": size.max_positions,
        # Counted from the end, so that the last block has full attention.
        "layer_types": [kinds[(size.num_blocks - index) % 2] for index in range(size.num_blocks)],
    }
    match model_type:
        case "gemma3_text":
            return gemma | {"query_pre_attn_scalar": size.head_dim}
        case "gemma4_text":
            return gemma | {
                "global_head_dim": size.head_dim,
                "hidden_size_per_layer_input": 16,
                "vocab_size_per_layer_input": size.vocab_size,
            }
        case "lfm2":
            last = size.num_blocks - 1
            return {"full_attn_idxs": [i for i in range(last + 1) if i % 3 == 2 or i == last]}
        case "mistral":
            return {"sliding_window": None}
    return {}
