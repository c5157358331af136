"""A cut host is the whole one up to block K, also where a block goes by how many there are."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedModel, core_model_loading

from interlingua.models.hosts.host import load_host, read_blocks
from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import Readout
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

torch.set_num_threads(1)

NUM_BLOCKS, WIDTH = 4, 32
SIZES = {
    "hidden_size": WIDTH,
    "num_hidden_layers": NUM_BLOCKS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 100,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LATENT = {"num_key_value_heads": 4, "head_dim": 8} | dict.fromkeys(
    ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8
)
SHARED_KEYS = {
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "head_dim": 8,
    "global_head_dim": 8,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": 100,
}
# What each does with the number of its blocks.
BY_NUMBER: dict[str, dict[str, object]] = {
    "minicpm3": SIZES | LATENT,  # divides every residual by its root
    "gemma4_text": SIZES | SHARED_KEYS,  # the last blocks use the keys of others; one table for all
    "gemma4_unified_text": SIZES | SHARED_KEYS,
    "gpt_neox_japanese": SIZES,  # the last block alone has a bias
    "zamba": SIZES  # ties a part of the later blocks to the first that has it
    | {
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "num_key_value_heads": 4,
        "n_mamba_heads": 2,
    },
    "pegasus": {  # builds by another field than the one that says how deep it is
        "d_model": WIDTH,
        "encoder_layers": NUM_BLOCKS,
        "decoder_layers": NUM_BLOCKS,
        "decoder_ffn_dim": 48,
        "decoder_attention_heads": 4,
        "vocab_size": 100,
        "max_position_embeddings": 32,
    },
}
FAMILIES = pytest.mark.parametrize("family", [*BY_NUMBER, "gemma4-e4b", "gemma3-12b-it"])
KEPT = pytest.mark.parametrize("block_index", [0, 1, NUM_BLOCKS - 1])


def model_of(family: str) -> PreTrainedModel:
    """A random model whose norms, biases and blocks all matter."""
    if family in BY_NUMBER:
        config = CONFIG_MAPPING[family](**BY_NUMBER[family])
    else:
        config = tiny_config(
            pool_host(family),
            width=WIDTH,
            num_blocks=NUM_BLOCKS,
            num_heads=4,
            vocab_size=100,
            max_positions=32,
            special_ids=SpecialIds(bos=1, eos=2, pad=0),
        )
    model = fresh_model(config, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


def batch() -> tuple[Tensor, Tensor]:
    ids_BT = torch.randint(3, 100, (3, 9), generator=torch.Generator().manual_seed(2))
    mask_BT = (torch.arange(9) < torch.tensor([9, 4, 1])[:, None]).long()
    return ids_BT * mask_BT, mask_BT


@FAMILIES
@KEPT
def test_a_cut_host_reads_what_the_whole_one_does(family, block_index, tmp_path: Path) -> None:
    model_of(family).save_pretrained(tmp_path)
    whole = load_host(str(tmp_path), dtype="float32")
    cut = load_host(str(tmp_path), dtype="float32", up_to_block=block_index)
    assert (cut.num_blocks, cut.num_loaded_blocks) == (NUM_BLOCKS, block_index + 1)
    blocks = range(block_index + 1)
    expected, found = (read_blocks(host, *batch(), blocks) for host in (whole, cut))
    for index in blocks:
        assert torch.equal(found[index], expected[index])
    assert type(cut.model) is type(whole.model)
    assert cut.model.config.to_dict() == whole.model.config.to_dict()


@FAMILIES
@KEPT
@torch.no_grad()
def test_an_ar_on_a_cut_trunk_has_the_stream_of_the_whole(family, block_index, tmp_path) -> None:
    model_of(family).save_pretrained(tmp_path)
    whole = load_host(str(tmp_path), dtype="float32")
    cut = load_host(str(tmp_path), dtype="float32", up_to_block=block_index)
    ar = Reconstructor(cut.model, cut.parts, block_index=block_index, readout=Readout.RAW)
    ids_BT, mask_BT = batch()
    h_BTD = read_blocks(whole, ids_BT, mask_BT, [block_index])[block_index]
    last_BD = h_BTD[torch.arange(len(ids_BT)), mask_BT.sum(1) - 1]
    torch.testing.assert_close(ar(ids_BT, mask_BT), last_BD, rtol=1e-5, atol=1e-6)


@FAMILIES
def test_weights_above_the_cut_are_never_read(family, tmp_path: Path, monkeypatch) -> None:
    model_of(family).save_pretrained(tmp_path)
    read: list[int] = []
    real = core_model_loading._materialize_copy

    def noted(tensor, *args, **options):
        copy = real(tensor, *args, **options)
        read.append(copy.numel())
        return copy

    monkeypatch.setattr(core_model_loading, "_materialize_copy", noted)
    cut = load_host(str(tmp_path), dtype="float32", up_to_block=0, check=False)
    weights = {weight.data_ptr(): weight for weight in cut.model.parameters()}
    saved = sum(weight.numel() for weight in weights.values())
    buffers = sum(b.numel() for _, b in cut.model.named_buffers())
    assert saved <= sum(read) <= saved + buffers
    assert not any(weight.is_meta for weight in weights.values())


def test_the_blocks_of_a_cut_model_are_those_it_was_told_of(tmp_path: Path) -> None:
    model_of("gemma4-e4b").save_pretrained(tmp_path)
    cut = load_host(str(tmp_path), dtype="float32", up_to_block=1)
    parts = find_parts(cut.model, blocks_path="model.layers")
    assert parts.blocks is cut.parts.blocks
