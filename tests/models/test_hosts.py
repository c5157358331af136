"""What is read is the output of block K: for every family, any padding, whole or truncated."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    AutoTokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    SiglipVisionConfig,
)

from interlingua.models.hosts.checkpoint import MissingWeights
from interlingua.models.hosts.host import (
    Host,
    TokenizerDrift,
    check_tokenizer,
    load_host,
    load_tokenizer,
    read_block,
    read_blocks,
)
from interlingua.models.hosts.parts import find_parts
from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

torch.set_num_threads(1)

TAGS = [host.tag for host in UNIVERSAL_POOL] + ["gemma3-12b-it"]
NUM_BLOCKS = 4
LENGTHS = (9, 4, 1)


@cache
def tiny_model(tag: str) -> PreTrainedModel:
    config = tiny_config(
        pool_host(tag),
        width=32,
        num_blocks=NUM_BLOCKS,
        num_heads=4,
        vocab_size=100,
        max_positions=32,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )
    model = fresh_model(config, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@cache
def tiny_host(tag: str) -> Host:
    model = tiny_model(tag)
    return Host(
        source=tag,
        revision=None,
        model=model,
        parts=find_parts(model),
        num_blocks=NUM_BLOCKS,
        width=32,
        lengths=None,
    )


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    ids_BT = torch.randint(3, 100, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask_BT = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return ids_BT * mask_BT, mask_BT


@pytest.mark.parametrize("tag", TAGS)
def test_what_is_read_is_the_output_of_block_k(tag: str) -> None:
    host, (ids_BT, mask_BT) = tiny_host(tag), batch()
    with torch.no_grad():
        states = host.model(
            ids_BT, attention_mask=mask_BT, use_cache=False, output_hidden_states=True
        ).hidden_states
    for k in range(NUM_BLOCKS):
        h_BTD = read_block(host, ids_BT, mask_BT, k)
        assert h_BTD.shape == (*ids_BT.shape, host.width)
        assert not torch.allclose(h_BTD, states[k], rtol=1e-2, atol=1e-3)
        if k < NUM_BLOCKS - 1:
            assert torch.equal(h_BTD, states[k + 1])
        else:
            assert not torch.allclose(h_BTD, states[k + 1], rtol=1e-2, atol=1e-3)
            assert torch.allclose(host.parts.final_norm(h_BTD), states[k + 1], atol=1e-6)


@pytest.mark.parametrize("tag", TAGS)
def test_neither_padding_nor_neighbours_change_a_row(tag: str) -> None:
    host, (ids_BT, mask_BT) = tiny_host(tag), batch()
    together_BTD = read_block(host, ids_BT, mask_BT, 2)
    for row, length in enumerate(LENGTHS):
        ids, mask = ids_BT[row : row + 1, :length], mask_BT[row : row + 1, :length]
        alone_TD = read_block(host, ids, mask, 2)[0]
        assert (together_BTD[row, :length] - alone_TD).norm() <= 1e-4 * alone_TD.norm()


@pytest.mark.parametrize("tag", TAGS)
def test_a_host_loaded_up_to_block_k_reads_the_same(tag: str, tmp_path: Path) -> None:
    tiny_model(tag).save_pretrained(tmp_path)
    whole = load_host(str(tmp_path), dtype="float32")
    part = load_host(str(tmp_path), dtype="float32", up_to_block=1)
    assert (whole.num_blocks, whole.num_loaded_blocks, whole.width) == (4, 4, 32)
    assert (part.num_blocks, part.num_loaded_blocks) == (4, 2)
    for k in (0, 1):
        assert torch.equal(read_block(whole, *batch(), k), read_block(part, *batch(), k))
    assert torch.equal(read_block(whole, *batch(), 1), read_block(tiny_host(tag), *batch(), 1))


def test_a_multimodal_checkpoint_is_opened_and_cut(tmp_path: Path) -> None:
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        image_size=8, patch_size=4,
    )  # fmt: skip
    config = Gemma3Config(
        text_config=tiny_model("gemma3-12b-it").config, vision_config=vision, mm_tokens_per_image=1
    )
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    whole = load_host(str(tmp_path), dtype="float32")
    part = load_host(str(tmp_path), dtype="float32", up_to_block=2)
    assert (part.num_blocks, part.num_loaded_blocks) == (4, 3)
    assert torch.equal(read_block(whole, *batch(), 2), read_block(part, *batch(), 2))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    tiny_model("qwen3-0p6b").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MissingWeights, match="model.norm.weight"):
        load_host(str(tmp_path), dtype="float32")


def num_hooks(model: PreTrainedModel) -> int:
    return sum(len(m._forward_hooks) for m in model.modules())


@pytest.mark.parametrize("tag", TAGS)
def test_several_blocks_come_from_one_forward_that_ends_at_the_highest(tag: str) -> None:
    host, (ids_BT, mask_BT) = tiny_host(tag), batch()
    expected = {k: read_block(host, ids_BT, mask_BT, k) for k in (0, 2)}
    ran: list[int] = []
    counters = [
        block.register_forward_pre_hook(lambda _m, _a, k=k: ran.append(k))
        for k, block in enumerate(host.parts.blocks)
    ]
    hooks = num_hooks(host.model)
    read = read_blocks(host, ids_BT, mask_BT, (2, 0))
    for counter in counters:
        counter.remove()
    assert ran == [0, 1, 2]
    assert num_hooks(host.model) == hooks
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[k], expected[k]) for k in expected)


def test_a_forward_that_fails_leaves_no_hook_behind() -> None:
    host, (ids_BT, mask_BT) = tiny_host("gpt2-medium"), batch()
    hooks = num_hooks(host.model)
    with pytest.raises(IndexError):
        read_block(host, ids_BT + 1000, mask_BT, 1)
    assert num_hooks(host.model) == hooks
    host.model(ids_BT, attention_mask=mask_BT)


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    host, (ids_BT, mask_BT) = tiny_host("pythia-410m"), batch()
    with pytest.raises(ValueError, match="block_index is 4"):
        read_block(host, ids_BT, mask_BT, 4)
    with pytest.raises(ValueError, match="left"):
        read_block(host, ids_BT, mask_BT.flip(1), 1)
    with pytest.raises(ValueError, match="mask"):
        read_block(host, ids_BT, mask_BT[:, :-1], 1)
    with pytest.raises(ValueError, match="dtype is 'fp16'"):
        load_host(str(tmp_path), dtype="fp16")
    host.model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="block_index is 9"):
        load_host(str(tmp_path), dtype="float32", up_to_block=9)


CORPUS = [
    f"the lamp {i} costs  {i}.5 \n\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c"
    for i in range(200)
]


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def qwen2_like() -> Tokenizer:
    backend = Qwen2Tokenizer().backend_tokenizer
    tokenizer = byte_level()
    tokenizer.normalizer = backend.normalizer
    tokenizer.pre_tokenizer = backend.pre_tokenizer
    return tokenizer


def save_with(tag: str, make: Callable[[], Tokenizer], folder: Path) -> None:
    tokenizer = make()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<pad>", "<s>", "</s>", "\u320e"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    tiny_model(tag).config.save_pretrained(folder)


@pytest.mark.parametrize("tag", TAGS)
def test_a_saved_folder_has_the_same_ids_in_transformers_alone(tag: str, tmp_path: Path) -> None:
    # transformers rebuilds every tokenizer beside a qwen2 configuration as a Qwen2Tokenizer
    make = qwen2_like if pool_host(tag).model_type == "qwen2" else byte_level
    save_with(tag, make, tmp_path)
    alone = AutoTokenizer.from_pretrained(tmp_path)
    check_tokenizer(alone, str(tmp_path / "tokenizer.json"))
    assert len(alone) == len(load_tokenizer(str(tmp_path)))


def test_the_ids_are_those_of_tokenizer_json_where_transformers_drifts(tmp_path: Path) -> None:
    save_with("qwen2p5-0p5b", byte_level, tmp_path)
    with pytest.raises(TokenizerDrift, match="Qwen2Tokenizer"):
        check_tokenizer(AutoTokenizer.from_pretrained(tmp_path), str(tmp_path / "tokenizer.json"))
    truth = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "lamps  12345 \u320e\n\n"
    assert load_tokenizer(str(tmp_path)).encode(text) == truth.encode(text).ids


def test_a_configuration_that_changes_the_ids_is_refused(tmp_path: Path) -> None:
    save_with("qwen3-0p6b", byte_level, tmp_path)
    path = tmp_path / "tokenizer_config.json"
    changed = json.loads(path.read_text()) | {"extra_special_tokens": ["costs"]}
    path.write_text(json.dumps(changed))
    with pytest.raises(TokenizerDrift, match="costs"):
        load_tokenizer(str(tmp_path))


def test_a_source_without_tokenizer_json_is_left_to_transformers(tmp_path: Path) -> None:
    save_with("gpt2-medium", byte_level, tmp_path)
    truth = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    truth.model.save(str(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    text = "the lamp  costs 7"
    assert load_tokenizer(str(tmp_path)).encode(text) == truth.encode(text).ids
