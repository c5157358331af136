"""What is no host is refused in a sentence, alike whole and cut; a bare backbone is one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MambaConfig,
    MegatronBertConfig,
    MegatronBertForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
    T5Config,
    ViTConfig,
    ViTModel,
    XLMConfig,
    XLMWithLMHeadModel,
)

from interlingua.models.hosts.checkpoint import NotADecoder, decoder_config
from interlingua.models.hosts.host import Host, load_host, read_block
from interlingua.models.hosts.parts import NotCausal, UnknownArchitecture, find_parts
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trunk import Trunk
from interlingua.specs.injection import Readout, Replace
from interlingua.world.hosts import fresh_model

torch.set_num_threads(1)

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 100,
    "max_position_embeddings": 32,
}
KEPT = pytest.mark.parametrize("up_to_block", [None, 0, 1])


def opened(model: PreTrainedModel, folder: Path, up_to_block: int | None = None) -> Host:
    model.save_pretrained(folder)
    return load_host(str(folder), dtype="float32", up_to_block=up_to_block)


def refused(model: PreTrainedModel, folder: Path, up_to_block: int | None) -> ValueError:
    with pytest.raises(ValueError) as caught:
        opened(model, folder, up_to_block)
    assert len(str(caught.value)) < 400
    return caught.value


def encoder_decoder(family: str) -> PreTrainedModel:
    if family == "t5":
        config = T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4, vocab_size=100)
    else:
        config = BartConfig(
            d_model=32, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=100,
            max_position_embeddings=32,
        )  # fmt: skip
    return AutoModelForSeq2SeqLM.from_config(config)


@KEPT
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_has_no_single_stream(family, up_to_block, tmp_path) -> None:
    error = refused(encoder_decoder(family), tmp_path, up_to_block)
    assert isinstance(error, NotADecoder)
    assert str(error) == (
        f"{tmp_path} is an encoder-decoder ({family}) and has no single residual stream; "
        "name a decoder-only language model"
    )
    with pytest.raises(NotADecoder, match="encoder-decoder"):
        decoder_config(str(tmp_path), None)


@KEPT
def test_what_is_no_language_model_is_named(up_to_block, tmp_path) -> None:
    vision = ViTConfig(**{k: SIZES[k] for k in list(SIZES)[:4]}, image_size=8, patch_size=4)
    error = refused(ViTModel(vision), tmp_path, up_to_block)
    assert "no language model of the type vit; name a decoder-only" in str(error)


@KEPT
def test_embeddings_of_another_width_are_an_unknown_architecture(up_to_block, tmp_path) -> None:
    sizes = {k: v for k, v in SIZES.items() if k != "intermediate_size"}
    opt = OPTForCausalLM(OPTConfig(**sizes, ffn_dim=48, word_embed_proj_dim=16))
    error = refused(opt, tmp_path, up_to_block)
    assert isinstance(error, UnknownArchitecture)
    assert "its embedding is 16 wide and its residual stream 32" in str(error)


def test_blocks_that_share_their_weights_are_an_unknown_architecture() -> None:
    with pytest.raises(UnknownArchitecture, match="no ModuleList holds 3 blocks"):
        find_parts(AlbertForMaskedLM(AlbertConfig(**SIZES, embedding_size=16)))


@KEPT
def test_a_family_that_hands_out_other_states_is_refused_whole_and_cut(up_to_block, tmp_path):
    # Mamba's hidden_states are one short: hidden_states[0] is already the output of block 0
    mamba = fresh_model(
        MambaConfig(hidden_size=32, num_hidden_layers=3, vocab_size=100, state_size=4), 0
    )
    error = refused(mamba, tmp_path, up_to_block)
    assert isinstance(error, UnknownArchitecture)
    assert "what enters block 0 is not hidden_states[0]" in str(error)


@KEPT
def test_a_forward_that_runs_past_the_cut_is_an_unknown_architecture(up_to_block, tmp_path) -> None:
    config = XLMConfig(emb_dim=32, n_layers=3, n_heads=4, n_words=100, max_position_embeddings=32)
    error = refused(XLMWithLMHeadModel(config), tmp_path, up_to_block)
    assert isinstance(error, UnknownArchitecture)


@KEPT
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_that_sees_later_tokens_is_refused(up_to_block, dtype, tmp_path) -> None:
    # In bf16 weights of an unlucky draw hide the leak, and another check refuses the model.
    torch.manual_seed(0)
    for make, config_class in (
        (BertLMHeadModel, BertConfig),
        (MegatronBertForCausalLM, MegatronBertConfig),
    ):
        model = make(config_class(**SIZES, is_decoder=False, initializer_range=0.3))
        model.save_pretrained(tmp_path / make.__name__)
        with pytest.raises(NotCausal, match="activations that know the future.*is_decoder"):
            load_host(str(tmp_path / make.__name__), dtype=dtype, up_to_block=up_to_block)


@KEPT
def test_a_bidirectional_family_that_was_told_to_decode_is_read(up_to_block, tmp_path) -> None:
    bert = MegatronBertForCausalLM(MegatronBertConfig(**SIZES, is_decoder=True))
    assert opened(bert, tmp_path, up_to_block).num_blocks == 3


@pytest.mark.parametrize("later", [0, 1, 2])
def test_a_leak_in_any_block_is_found_and_named(later: int) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    model.model.layers[later].register_forward_hook(
        lambda _m, _a, h_BTD: h_BTD + 0.01 * h_BTD.flip(1)
    )
    with pytest.raises(NotCausal, match=f"what block {later} carries"):
        find_parts(model)


BACKBONES = pytest.mark.parametrize("tied", [False, True])


def backbone(tied: bool) -> PreTrainedModel:
    torch.manual_seed(0)
    if tied:
        return GPT2Model(
            GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=100, n_positions=32)
        ).eval()
    return LlamaModel(LlamaConfig(**SIZES)).eval()


def batch() -> tuple[Tensor, Tensor]:
    ids_BT = torch.randint(3, 100, (2, 7), generator=torch.Generator().manual_seed(0))
    return ids_BT, torch.ones_like(ids_BT)


@KEPT
@BACKBONES
@torch.no_grad()
def test_a_bare_backbone_is_a_host(up_to_block, tied, tmp_path) -> None:
    model = backbone(tied)
    host = opened(model, tmp_path, up_to_block)
    assert (host.num_blocks, host.width) == (3, 32)
    states = model(*batch()[:1], output_hidden_states=True).hidden_states
    for index in range(host.num_loaded_blocks - (up_to_block is None)):
        assert torch.equal(read_block(host, *batch(), index), states[index + 1])


@BACKBONES
def test_a_bare_backbone_can_be_an_ar(tied, tmp_path) -> None:
    host = opened(backbone(tied), tmp_path, 1)
    ar = Reconstructor(host.model, host.parts, block_index=1, readout=Readout.RAW)
    with torch.no_grad():
        torch.testing.assert_close(ar(*batch()), read_block(host, *batch(), 1)[:, -1])


def test_a_bare_backbone_cannot_speak(tmp_path) -> None:
    host = opened(backbone(tied=False), tmp_path)
    with pytest.raises(ValueError, match="LlamaModel has no output embeddings, by which an AV"):
        Trunk(host.model, host.parts, rule=Replace())
    # a tied head is the embedding, so nothing is missing
    host = opened(backbone(tied=True), tmp_path / "tied")
    Trunk(host.model, host.parts, rule=Replace())


def test_a_rule_that_nobody_wrote_is_hooked_nowhere(tmp_path) -> None:
    host = opened(backbone(tied=True), tmp_path)
    with pytest.raises(AssertionError, match="another rule"):
        Trunk(host.model, host.parts, rule="another rule")
