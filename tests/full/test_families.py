"""Every causal language model of transformers, tiny: read alike whole and cut, or refused alike.

And no row depends on its batch. A new version of transformers may add families: what it does not
build from these fields belongs to OWN or, with its reason, to NOT_BUILT.
"""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from interlingua.models.hosts.checkpoint import NotADecoder
from interlingua.models.hosts.host import Host, load_host, read_blocks
from interlingua.models.hosts.parts import NotCausal, UnknownArchitecture

torch.set_num_threads(1)

NUM_BLOCKS = 4
MOST_PARAMETERS = 12_000_000

# Field of a configuration -> its tiny value, whichever family has the field.
TINY: dict[str, object] = {
    name: value
    for names, value in (
        ("hidden_size d_model n_embd embed_dim word_embed_proj_dim embedding_size emb_dim", 32),
        ("lru_width", 32),
        ("intermediate_size ffn_dim n_inner ffn_hidden_size encoder_ffn_dim decoder_ffn_dim", 48),
        ("d_ff dim_ff feed_forward_size moe_intermediate_size intermediate_size_mlp", 48),
        ("shared_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size", 48),
        ("num_hidden_layers n_layer n_layers num_layers num_blocks", NUM_BLOCKS),
        ("encoder_layers decoder_layers num_encoder_layers num_decoder_layers", NUM_BLOCKS),
        ("num_attention_heads n_head n_heads num_heads encoder_attention_heads", 4),
        ("decoder_attention_heads num_encoder_attention_heads num_decoder_attention_heads", 4),
        ("num_key_value_heads num_kv_heads linear_num_key_heads linear_num_value_heads", 2),
        ("head_dim qk_nope_head_dim qk_rope_head_dim v_head_dim global_head_dim index_head_dim", 8),
        ("linear_key_head_dim linear_value_head_dim mamba_d_head mamba_head_dim", 8),
        ("kv_lora_rank q_lora_rank o_lora_rank index_topk index_n_heads", 8),
        ("mamba_n_heads mamba_num_heads", 8),
        ("hidden_size_per_layer_input sliding_window attention_window_size window_size", 16),
        ("attention_chunk_size", 16),
        ("vocab_size vocab_size_per_layer_input n_words", 100),
        ("max_position_embeddings n_positions max_seq_len n_ctx mamba_d_ssm", 64),
        ("num_experts num_local_experts n_routed_experts moe_num_experts", 4),
        ("state_size mamba_d_state conv_kernel mamba_d_conv rotary_dim", 4),
        ("num_experts_per_tok moe_k moe_topk top_k_experts time_step_rank mamba_dt_rank", 2),
        ("n_group topk_group n_groups mamba_n_groups", 1),
        ("bos_token_id", 1),
        ("eos_token_id", 2),
        ("pad_token_id", 0),
        ("image_size", 8),
        ("patch_size", 4),
    )
    for name in names.split()
}
LATENT_HEADS: dict[str, object] = {"num_key_value_heads": 4, "qk_head_dim": 16}

SLIDING = {"layer_types": ["sliding_attention", "full_attention"] * 2}
LINEAR = ["linear_attention", "full_attention"] * 2
HYBRID = ["linear_attention", "hybrid"] * 2
ROPE = {"rope_type": "default", "rope_theta": 1e4}
# What a family needs beyond that.
OWN: dict[str, dict[str, object]] = {
    "bailing_hybrid": {"layer_group_size": 2},
    "bamba": {"attn_layer_indices": [1, 3]},
    "cohere_compass_text": SLIDING
    | {"rope_parameters": {"full_attention": ROPE, "sliding_attention": ROPE}},
    "dots1": {"n_shared_experts": 1},
    "dots3_note_text": {
        "swa_num_attention_heads": 4, "swa_num_key_value_heads": 4, "swa_head_dim": 16,
        "swa_qk_nope_head_dim": 8, "swa_v_head_dim": 8, "swa_q_lora_rank": 8,
        "swa_kv_lora_rank": 8, "head_dim": 16, "shared_experts_intermediate_size": 48,
    },
    "gemma3n_text": SLIDING | {"num_kv_shared_layers": 2, "laurel_rank": 8},
    "gemma4_text": SLIDING | {"num_kv_shared_layers": 2},
    "gemma4_unified_text": SLIDING | {"num_kv_shared_layers": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": LINEAR},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4, "layer_types": LINEAR},
    "kolibri1": SLIDING,
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2, "num_dense_layers": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "qwen4_exp_text": {
        "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
        "indexer_compress_ratio": 2, "layer_types": ["linear_attention", "indexed_attention"] * 2,
        "ple_layer_ids": [1, 3], "ngram_vocab_size_base": 200, "hc_lowrank": 8,
        "make_ngram_vocab_size_divisible_by": 8, "split_ngram_parts": 4, "heads_per_ngram": 2,
    },
    "reformer": {"is_decoder": True, "attn_layers": ["local"] * 4, "axial_pos_embds": False},
    "roc_bert": dict.fromkeys(("pronunciation_embed_dim", "shape_embed_dim"), 8)
    | dict.fromkeys(("pronunciation_vocab_size", "shape_vocab_size"), 20),
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "layers_block_type": HYBRID, "attention_hidden_size": 64, "attention_head_dim": 16,
        "num_key_value_heads": 4,
    },
    "zamba2": {"layers_block_type": HYBRID},
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 16},
}  # fmt: skip

NOT_BUILT = {
    "blt": "too large by other fields",
    "dbrx": "reads a field that its configuration does not have",
    "dots3_note": "too large by other fields",
    "fuyu": "too large by other fields",
    "gemma3": "its vision tower is not made tiny by these fields",
    "gemma3n": "needs timm",
    "gemma4_assistant": "no language model by itself",
    "gemma4_unified_assistant": "no language model by itself",
    "got_ocr2": "its vision tower is not made tiny by these fields",
    "moss_transcribe_diarize": "its audio tower is not made tiny by these fields",
    "musicgen": "no language model by itself",
    "musicgen_melody": "no language model by itself",
    "qwen4_exp": "needs fields inside its text configuration",
}
FAMILIES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() - NOT_BUILT)
# Encoders that were not told to decode.
SEE_THE_FUTURE = {
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie",
    "megatron-bert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
}  # fmt: skip
# Of more streams than one, of blocks that are no list of that length, with hidden states that are
# no outputs of blocks, or with something between embedding and stream or after the last block.
UNKNOWN = {
    "bart", "blenderbot-small", "cpmant", "deepseek_v4", "falcon_mamba", "gemma3n_text", "git",
    "hrm_text", "hy_v4", "inkling2_text", "inkling_text", "longcat_flash", "mamba", "mamba2",
    "mbart", "modernbert-decoder", "mvp", "nanochat", "plbart", "prophetnet", "qwen4_exp_text",
    "rembert", "rwkv", "trocr", "xlm", "xlnet", "zaya",
}  # fmt: skip
# Saved under a type that has no language model of its own.
NOT_DECODERS = {"emu3", "mllama"}


def tiny_config(config_class: type[PreTrainedConfig]) -> PreTrainedConfig:
    names = {field.name for field in dataclasses.fields(config_class)}
    fields = {name: value for name, value in TINY.items() if name in names}
    if "kv_lora_rank" in names:
        fields |= {name: value for name, value in LATENT_HEADS.items() if name in names}
    for name, inner in config_class.sub_configs.items():
        if inner.__name__ not in ("AutoConfig", "PreTrainedConfig", "MptAttentionConfig"):
            fields[name] = tiny_config(inner)
    return config_class(**{**fields, **OWN.get(config_class.model_type, {})})


def model_of(family: str) -> PreTrainedModel:
    """A random model whose norms, biases and blocks all matter."""
    config = tiny_config(CONFIG_MAPPING[family])
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(config).num_parameters()
    assert size <= MOST_PARAMETERS
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        spread = 0.1 if weight.dim() == 1 else 0.05
        weight.data += spread * torch.randn(weight.shape, generator=generator)
    return model


def opened(folder: Path, up_to_block: int | None) -> Host | ValueError:
    try:
        return load_host(str(folder), dtype="float32", up_to_block=up_to_block)
    except (UnknownArchitecture, NotADecoder, NotCausal) as error:
        return error


def batch() -> tuple[Tensor, Tensor]:
    ids_BT = torch.randint(3, 90, (3, 21), generator=torch.Generator().manual_seed(2))
    mask_BT = (torch.arange(21) < torch.tensor([21, 8, 1])[:, None]).long()
    return ids_BT * mask_BT, mask_BT


def expected_refusal(family: str) -> type[ValueError] | None:
    for families, refusal in (
        (SEE_THE_FUTURE, NotCausal), (UNKNOWN, UnknownArchitecture), (NOT_DECODERS, NotADecoder),
    ):  # fmt: skip
        if family in families:
            return refusal
    return None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_the_same_whole_and_cut(family: str, tmp_path: Path) -> None:
    model_of(family).save_pretrained(tmp_path)
    whole, *cut = (opened(tmp_path, kept) for kept in (None, 0, NUM_BLOCKS // 2))
    refusal = expected_refusal(family)
    if refusal is not None:
        assert [type(each) for each in (whole, *cut)] == [refusal] * 3
        return
    assert isinstance(whole, Host), whole
    ids_BT, mask_BT = batch()
    together = read_blocks(whole, ids_BT, mask_BT, range(NUM_BLOCKS))
    for host, kept in zip(cut, (1, NUM_BLOCKS // 2 + 1), strict=True):
        assert isinstance(host, Host), host
        assert host.num_loaded_blocks == kept
        for index, h_BTD in read_blocks(host, ids_BT, mask_BT, range(kept)).items():
            assert torch.equal(h_BTD[mask_BT.bool()], together[index][mask_BT.bool()])
    for row, length in enumerate(mask_BT.sum(1).tolist()):
        own = slice(row, row + 1), slice(length)
        for index, h_1TD in read_blocks(whole, ids_BT[own], mask_BT[own], range(4)).items():
            apart = (h_1TD[0] - together[index][row, :length]).norm() / h_1TD.norm()
            assert apart <= 1e-4
