"""A GGUF file becomes the folder of the very model that it was written from, or a line says why."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.models.gguf_files import TEXT, small_llama, small_tokenizer, write_gguf

from interlingua.models.hosts import gguf
from interlingua.models.hosts.gguf import NotConvertible, convert_gguf
from interlingua.models.hosts.host import TOKENIZER_PROBES, load_host, load_tokenizer, read_block

torch.set_num_threads(1)

WITH_DIGITS = small_tokenizer(has_single_digits=True)
TOGETHER = small_tokenizer(has_single_digits=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tiny.gguf"


@pytest.fixture
def written(path):
    """A GGUF file of a model with tied embeddings."""
    write_gguf(path, small_llama(WITH_DIGITS.get_vocab_size(), is_tied=True), WITH_DIGITS)
    return path


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_model_is_that_of_the_file(is_tied, path, tmp_path):
    model = small_llama(WITH_DIGITS.get_vocab_size(), is_tied=is_tied)
    write_gguf(path, model, WITH_DIGITS)
    convert_gguf(path, tmp_path / "model")
    host = load_host(str(tmp_path / "model"), dtype="float32")
    ids_BT = torch.arange(24).reshape(2, 12)
    with torch.no_grad():
        assert torch.equal(host.model(ids_BT).logits, model(ids_BT).logits)
        states = model(ids_BT, output_hidden_states=True).hidden_states
    h_BTD = read_block(host, ids_BT, torch.ones_like(ids_BT), 1)
    assert torch.equal(h_BTD, states[2])
    # Tied weights lie in the file once.
    names = load_file(tmp_path / "model" / "model.safetensors").keys()
    assert ("lm_head.weight" in names) is not is_tied


@pytest.mark.parametrize(("split", "truth"), [("smollm", WITH_DIGITS), ("gpt-2", TOGETHER)])
def test_texts_are_split_as_the_file_says(split, truth, path, tmp_path):
    model = small_llama(WITH_DIGITS.get_vocab_size(), is_tied=True)
    write_gguf(path, model, WITH_DIGITS, pre=split)
    convert_gguf(path, tmp_path / "model")
    tokenizer = load_tokenizer(str(tmp_path / "model"))
    for text in (*TOKENIZER_PROBES, TEXT, "<|im_start|>x"):
        assert tokenizer.encode(text, add_special_tokens=False) == truth.encode(text).ids
    assert WITH_DIGITS.encode(TEXT).ids != TOGETHER.encode(TEXT).ids
    assert tokenizer.chat_template.startswith("{% for m in messages %}")
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")


def test_a_text_ends_where_the_file_says(written, tmp_path):
    convert_gguf(written, tmp_path / "model")
    host = load_host(str(tmp_path / "model"), dtype="float32")
    assert host.model.generation_config.eos_token_id == [2, 0]  # of a text, of a turn


def test_two_conversions_are_the_same(written, tmp_path):
    for name in ("once", "again"):
        convert_gguf(written, tmp_path / name)
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("once", "again")
    ]
    assert files[0] == files[1]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files[0].keys()


def test_a_split_that_is_not_known_is_refused(path, tmp_path):
    model = small_llama(WITH_DIGITS.get_vocab_size(), is_tied=True)
    write_gguf(path, model, WITH_DIGITS, pre="default")
    with pytest.raises(NotConvertible, match=r"tiny.gguf: tokenizer.ggml.pre is 'default'.*known"):
        convert_gguf(path, tmp_path / "model")


def test_a_tensor_without_a_place_is_refused(path, tmp_path):
    model = small_llama(WITH_DIGITS.get_vocab_size(), is_tied=True)
    extra = {"blk.0.attn_sinks.weight": np.zeros(5, np.float32)}
    write_gguf(path, model, WITH_DIGITS, tensors=extra)
    own = sum(weight.numel() for weight in model.parameters())
    with pytest.raises(NotConvertible, match=f"holds {own + 5:,} weights and .* {own:,}"):
        convert_gguf(path, tmp_path / "model")


@pytest.mark.parametrize(
    "scaled",
    [
        {"also": {"llama.rope.scaling.type": "yarn"}},
        {"tensors": {"rope_freqs.weight": np.ones(4, np.float32)}},
    ],
)
def test_scaled_positions_are_refused(scaled, path, tmp_path):
    model = small_llama(WITH_DIGITS.get_vocab_size(), is_tied=True)
    write_gguf(path, model, WITH_DIGITS, **scaled)
    with pytest.raises(NotConvertible, match="scales its rotary positions"):
        convert_gguf(path, tmp_path / "model")


def test_a_file_that_was_cut_off_is_refused(written, tmp_path):
    whole = written.read_bytes()
    for count in (0, 3, 100, 2000, len(whole) - 64):
        written.write_bytes(whole[:count])
        with pytest.raises(NotConvertible, match="fetch it again"):
            convert_gguf(written, tmp_path / "model")


def test_without_the_package_one_line_says_what_to_install(written, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(NotConvertible, match=r"needs the package gguf: pip install 'interlingua"):
        convert_gguf(written, tmp_path / "model")
