"""Where a rotary encoding goes by length, a row still depends on nothing but its own text."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, Phi3Config, PreTrainedConfig

from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.host import Host, load_host, read_block
from interlingua.specs.extraction import ExtractSpec, Pooled, TokenPositions
from interlingua.specs.splits import Split
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.world.hosts import fresh_model
from interlingua.world.tokenizers import trained_tokenizer

torch.set_num_threads(1)

SHORT, LONGEST = 16, 64
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": 0,
}
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [1.0, 2.0, 4.0, 8.0],
}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
KINDS = pytest.mark.parametrize("kind", ["longrope", "dynamic", "neither"])
# of all kinds: long among short, as long as the encoding goes unchanged, and one more than that
LENGTHS = (5, 40, SHORT, 17, 12, 64, 1, 33)


def config_of(kind: str, vocab_size: int = 100) -> PreTrainedConfig:
    sizes = SIZES | {"vocab_size": vocab_size}
    if kind == "longrope":
        return Phi3Config(
            **sizes,
            max_position_embeddings=LONGEST,
            original_max_position_embeddings=SHORT,
            rope_parameters=LONG_ROPE,
        )
    rope = {"rope_parameters": DYNAMIC} if kind == "dynamic" else {}
    return LlamaConfig(**sizes, max_position_embeddings=SHORT, **rope)


def host_of(kind: str, folder: Path) -> Host:
    model = fresh_model(config_of(kind), seed=0).eval()
    for weight in model.parameters():
        weight.data *= 1 if weight.dim() == 1 else 6  # so that where a token stands matters
    model.save_pretrained(folder)
    return load_host(str(folder), dtype="float32")


def text_of(length: int) -> Tensor:
    return torch.randint(3, 100, (length,), generator=torch.Generator().manual_seed(length))


def batch_of(lengths: list[int]) -> tuple[Tensor, Tensor]:
    mask_BT = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids_BT = torch.zeros_like(mask_BT)
    for row, length in enumerate(lengths):
        ids_BT[row, :length] = text_of(length)
    return ids_BT, mask_BT


def by_itself(kind: str, length: int, folder: Path) -> Tensor:
    """What a host that never read anything else has for a text alone."""
    ids_1T = text_of(length)[None]
    host = load_host(str(folder), dtype="float32")
    with torch.no_grad():
        model_out = host.model(ids_1T, output_hidden_states=True, use_cache=False)
    h_TD: Tensor = model_out.hidden_states[2][0]
    return h_TD


@KINDS
@pytest.mark.parametrize("order", [1, -1])
def test_a_row_is_that_of_its_text_alone(kind: str, order: int, tmp_path: Path) -> None:
    host, lengths = host_of(kind, tmp_path), list(LENGTHS[::order])
    read_BTD = read_block(host, *batch_of(lengths), 1)
    assert read_BTD.shape == (len(lengths), max(lengths), 32)
    for row, length in enumerate(lengths):
        alone_TD = by_itself(kind, length, tmp_path)
        torch.testing.assert_close(read_BTD[row, :length], alone_TD, rtol=1e-5, atol=1e-5)


@KINDS
@pytest.mark.parametrize("length", LENGTHS)
def test_a_row_does_not_depend_on_what_was_read_before(
    kind: str, length: int, tmp_path: Path
) -> None:
    host, alone = host_of(kind, tmp_path), batch_of([length])
    fresh_BTD = read_block(host, *alone, 1)
    for before in (64, 5, 40):
        read_block(host, *batch_of([before]), 1)
        assert torch.equal(read_block(host, *alone, 1), fresh_BTD)
    torch.testing.assert_close(fresh_BTD[0], by_itself(kind, length, tmp_path), rtol=0, atol=1e-6)


def test_other_hosts_are_read_in_one_forward(tmp_path: Path) -> None:
    lengths = list(LENGTHS)
    for kind, num_forwards in (("neither", 1), ("longrope", 1 + 4)):
        host = host_of(kind, tmp_path / kind)
        shapes: list[torch.Size] = []
        host.model.register_forward_pre_hook(lambda _m, args, s=shapes: s.append(args[0].shape))
        read_block(host, *batch_of(lengths), 1)
        assert len(shapes) == num_forwards
    assert shapes[0] == (4, SHORT)


@pytest.mark.parametrize(
    "read", [Pooled(include_first=False), TokenPositions(per_passage=4, min_position=1, seed=0)]
)
def test_rows_of_long_and_short_texts_do_not_depend_on_their_batch(read, tmp_path) -> None:
    words = ["lamp", "old", "farm", "rain", "basket", "dear", "friend", "carried"]
    texts = [
        (f"{n:016x}", " ".join(words[(n * k) % 8] for k in range(1, 2 + 5 * n))) for n in range(9)
    ]
    spec = TokenizerSpec(kind=TokenizerKind.BYTE_BPE, vocab_size=512, has_bos=True, chat=None)
    tokenizer = trained_tokenizer(spec, [text for _, text in texts] * 20)
    config = config_of("longrope", len(tokenizer))
    model = fresh_model(config, seed=0)
    for weight in model.parameters():
        weight.data *= 1 if weight.dim() == 1 else 6
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    extract = ExtractSpec(
        host_tag="gpt2-medium",
        block_indices=(0, 1),
        read=read,
        max_tokens=LONGEST,
        dtype="float32",
        splits=(Split.FIT,),
    )
    together, alone = (
        Reader(str(tmp_path), extract, revision=None, device="cpu", batch_tokens=budget)
        for budget in (4096, 1)
    )
    expected = alone.rows(texts)
    assert min(expected.num_tokens) < SHORT < max(expected.num_tokens)
    for order in (texts, texts[::-1]):
        rows = together.rows(order)
        keys = list(zip(rows.passage_ids, rows.positions, strict=True))
        wanted = list(zip(expected.passage_ids, expected.positions, strict=True))
        places = [keys.index(key) for key in wanted]
        for block in (0, 1):
            np.testing.assert_allclose(
                rows.vectors_by_block[block][places],
                expected.vectors_by_block[block],
                rtol=1e-4,
                atol=1e-5,
            )
