"""The AR reads the stream behind block K of the whole model, without norm, at the last token."""

from copy import deepcopy
from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from interlingua.models.hosts.cut import cut
from interlingua.models.hosts.parts import block_output, find_blocks, find_parts
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trunk import add_lora
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import Readout
from interlingua.specs.training import LoraSpec
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

pytestmark = pytest.mark.slow  # of many families: seconds together

torch.set_num_threads(1)

WIDTH, VOCAB, NUM_BLOCKS = 32, 100, 4
TAGS = {
    "qwen3": "qwen3-1p7b",
    "qwen2": "qwen2p5-0p5b",
    "gemma3": "gemma3-12b-it",
    "llama": "smollm2-360m",
    "mistral": "vikhr-7b-01",
    "gpt2": "gpt2-medium",
    "gpt_neox": "pythia-410m",
    "bloom": "bloom-560m",
    "gemma4": "gemma4-e4b",
}
GPT_LAYERS = ("c_attn", "c_fc", "query_key_value", "dense")
LENGTHS = (9, 1, 5)
LORA = LoraSpec(rank=4, alpha=8.0, dropout=0.0, targets=("q_proj",), rank_stabilised=True)
FAMILIES = pytest.mark.parametrize("family", TAGS)
READOUTS = pytest.mark.parametrize("readout", Readout)


def full_model(tag: str, num_blocks: int = NUM_BLOCKS) -> PreTrainedModel:
    """A random model with norms as if trained, whose blocks matter."""
    config = tiny_config(
        pool_host(tag),
        width=WIDTH,
        num_blocks=num_blocks,
        num_heads=4,
        vocab_size=VOCAB,
        max_positions=64,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )
    model, generator = fresh_model(config, seed=0).eval(), torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        noise = 0.3 * torch.randn(parameter.shape, generator=generator)
        parameter.data = parameter.data + noise if parameter.dim() == 1 else parameter.data * 8
    return model


def ar_of(full: PreTrainedModel, block_index: int, readout: Readout = Readout.RAW) -> Reconstructor:
    """The AR on the first blocks of the model."""
    trunk = fresh_model(full.config, seed=9).eval()
    blocks_path = find_blocks(trunk)
    cut(trunk, blocks_path, block_index + 1)
    trunk.load_state_dict({name: full.state_dict()[name] for name in trunk.state_dict()})
    parts = find_parts(trunk, blocks_path=blocks_path)
    return Reconstructor(trunk, parts, block_index=block_index, readout=readout)


def batch(fill: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    ids_BT = torch.randint(3, VOCAB, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask_BT = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return torch.where(mask_BT.bool(), ids_BT, fill), mask_BT


@torch.no_grad()
def last_states(full: PreTrainedModel, block_index: int) -> Tensor:
    """hidden_states[K+1] at the end of every text alone; behind the last block, before the norm."""
    rows, ids_BT, seen = [], batch()[0], []
    hook = (
        find_parts(full)
        .blocks[-1]
        .register_forward_hook(lambda _m, _a, out: seen.append(block_output(out)))
    )
    for row, length in enumerate(LENGTHS):
        out = full(ids_BT[row : row + 1, :length], output_hidden_states=True, use_cache=False)
        states = (*out.hidden_states[:-1], seen[-1])
        rows.append(states[block_index + 1][0, -1])
    hook.remove()
    return torch.stack(rows)


@FAMILIES
@READOUTS
@pytest.mark.parametrize("block_index", [0, 2, NUM_BLOCKS - 1])
def test_a_fresh_ar_gives_the_stream_behind_block_k(family, readout, block_index):
    full = full_model(TAGS[family])
    h_BD = last_states(full, block_index)
    if readout is Readout.NORMALIZED:
        h_BD = sqrt(WIDTH) * h_BD / h_BD.norm(dim=1, keepdim=True)
    found_BD = ar_of(full, block_index, readout)(*batch())
    torch.testing.assert_close(found_BD, h_BD, rtol=1e-4, atol=1e-5)


@FAMILIES
def test_the_final_norm_is_gone(family):
    full = full_model(TAGS[family])
    trunk = deepcopy(full)
    parts = find_parts(trunk)
    ar = Reconstructor(trunk, parts, block_index=NUM_BLOCKS - 1, readout=Readout.RAW)
    assert parts.final_norm is not None
    assert all(part is not parts.final_norm for part in ar.modules())
    found_BD = ar(*batch())
    with torch.no_grad():
        normed_BD = parts.final_norm(found_BD)
        parts.final_norm.weight.zero_()
    assert not torch.allclose(found_BD, normed_BD, rtol=0.1, atol=0.1)
    assert torch.equal(ar(*batch()), found_BD)
    # and no other norm went with it
    names = {name for name, _ in ar.model.named_parameters()}
    everything = {name for name, _ in full.base_model.named_parameters()}
    assert all("norm" in name or "ln_f" in name for name in everything - names)
    assert len(everything - names) == len(list(parts.final_norm.parameters()))


@READOUTS
def test_the_head_is_a_matrix_from_the_left(readout):
    ar = ar_of(full_model(TAGS["qwen3"]), 1, readout)
    start_BD = ar(*batch())
    head = ar.value_head
    assert head.bias is None
    assert torch.equal(head.weight, torch.eye(WIDTH))
    head.weight.data.normal_(generator=torch.Generator().manual_seed(3))
    expected_BD = torch.stack([head.weight @ start_D for start_D in start_BD])
    torch.testing.assert_close(ar(*batch()), expected_BD, rtol=1e-4, atol=1e-4)


def test_an_ar_has_no_weights_that_it_does_not_use():
    ar = ar_of(full_model(TAGS["llama"]), 1)
    assert not any("lm_head" in name for name, _ in ar.named_parameters())
    assert "value_head.weight" in ar.state_dict()
    ar(*batch()).square().sum().backward()
    unused = [name for name, p in ar.named_parameters() if p.grad is None]
    assert unused == []


@FAMILIES
def test_neither_padding_nor_neighbours_change_a_row(family):
    ar = ar_of(full_model(TAGS[family]), 2)
    ids_BT, mask_BT = batch()
    together_BD = ar(ids_BT, mask_BT)
    torch.testing.assert_close(ar(batch(fill=77)[0], mask_BT), together_BD, rtol=1e-5, atol=1e-5)
    turned_BD = ar(ids_BT.flip(0), mask_BT.flip(0)).flip(0)
    torch.testing.assert_close(turned_BD, together_BD, rtol=1e-5, atol=1e-5)
    for row, length in enumerate(LENGTHS):
        own = slice(row, row + 1), slice(length)
        alone_1D = ar(ids_BT[own], mask_BT[own])
        torch.testing.assert_close(alone_1D[0], together_BD[row], rtol=1e-4, atol=1e-5)


def test_the_last_real_token_is_read():
    ar = ar_of(full_model(TAGS["qwen3"]), 1)
    ids_BT, mask_BT = batch()
    before_BD = ar(ids_BT, mask_BT)
    for row, length in enumerate(LENGTHS):
        other_BT = ids_BT.clone()
        other_BT[row, length - 1] = 2
        is_changed_B = (ar(other_BT, mask_BT) != before_BD).any(1)
        assert is_changed_B.tolist() == [other == row for other in range(len(LENGTHS))]


@pytest.mark.parametrize("row", [0, 1])
def test_texts_padded_on_the_left_or_empty_are_refused(row):
    """The token that is read would not be the last one."""
    ar = ar_of(full_model(TAGS["qwen3"]), 1)
    ids_BT, mask_BT = batch()
    mask_BT[row] = torch.tensor([0] * 9 if row else [0, 0, *[1] * 7])
    with pytest.raises(ValueError, match=r"mask_BT"):
        ar(ids_BT, mask_BT)


@pytest.mark.parametrize("block_index", [0, 2, 4])
def test_a_trunk_of_another_depth_is_refused(block_index):
    full = full_model(TAGS["qwen3"])
    message = rf"trunk has 4 blocks; ArSpec.block_index {block_index} needs {block_index + 1}$"
    with pytest.raises(ValueError, match=message):
        Reconstructor(full, find_parts(full), block_index=block_index, readout=Readout.RAW)


@READOUTS
def test_a_trunk_in_bf16_gives_nearly_the_same_vectors_in_fp32(readout):
    exact, half = (ar_of(full_model(TAGS["qwen3"]), 1, readout) for _ in range(2))
    half.model.to(torch.bfloat16)
    assert half.value_head.weight.dtype == torch.float32
    found_BD, expected_BD = half(*batch()), exact(*batch())
    assert found_BD.dtype == half.to(torch.bfloat16)(*batch()).dtype == torch.float32
    cosines_B = torch.cosine_similarity(found_BD, expected_BD)
    assert (cosines_B > 0.99).all()
    ratios_B = found_BD.norm(dim=1) / expected_BD.norm(dim=1)
    torch.testing.assert_close(ratios_B, torch.ones(len(LENGTHS)), rtol=0.05, atol=0)


def gradients(family: str, readout: Readout, checkpoints: bool) -> dict[str, Tensor]:
    """Of adapters and value head; one backward ends two forwards."""
    ar = ar_of(full_model(TAGS[family]), 2, readout)
    names = {name.rpartition(".")[2] for name, _ in ar.named_modules()}
    targets = tuple(sorted(names.intersection((*LORA.targets, *GPT_LAYERS))))
    add_lora(ar.model, replace(LORA, targets=targets), seed=0)
    generator, num_runs = torch.Generator().manual_seed(3), [0]
    for name, part in ar.named_modules():
        if name.endswith("lora_B.trained"):
            part.weight.data = 0.1 * torch.randn(part.weight.shape, generator=generator)
            part.register_forward_hook(lambda *_: num_runs.__setitem__(0, num_runs[0] + 1))
    num_adapters = sum(name.endswith("lora_B.trained") for name, _ in ar.named_modules())
    if checkpoints:
        ar.checkpoint_gradients()
    ar.train()
    ids_BT, mask_BT = batch()
    outputs = ar(ids_BT, mask_BT), ar(ids_BT.flip(0), mask_BT.flip(0))
    weight_BD = torch.randn(outputs[0].shape, generator=generator)
    ((outputs[0] + 3 * outputs[1].square()) * weight_BD).sum().backward()
    assert num_runs[0] == num_adapters * (4 if checkpoints else 2)
    return {name: p.grad for name, p in ar.named_parameters() if p.requires_grad}


@READOUTS
@FAMILIES
def test_gradients_are_the_same_when_blocks_run_again(family, readout):
    kept, again = (gradients(family, readout, checkpoints) for checkpoints in (False, True))
    assert kept.keys() == again.keys() > {"value_head.weight"}
    for name, gradient in kept.items():
        assert gradient.norm() > 0, name
        assert (again[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
