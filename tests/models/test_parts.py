"""Every family's parts are found by one rule; a forward that contradicts it is refused."""

from copy import deepcopy
from math import isclose, sqrt

import pytest
import torch
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    Gemma3Config,
    LlavaConfig,
    PreTrainedModel,
    SiglipVisionConfig,
)
from transformers.modeling_outputs import CausalLMOutput

from interlingua.models.hosts.parts import UnknownArchitecture, find_parts
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL, pool_host
from interlingua.specs.hosts import PoolHost
from interlingua.world.hosts import SpecialIds, fresh_model, published_config, tiny_config

torch.set_num_threads(1)

WIDTH = 32
HOSTS = (*UNIVERSAL_POOL, *SINGLE_HOSTS)
STANDARD = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 100,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT_LIKE = {"n_embd": WIDTH, "n_layer": 3, "n_head": 4, "vocab_size": 100, "n_positions": 32}
# family -> its configuration and the factor on its embedding, as its own sources have it
NEVER_TOLD: dict[str, tuple[dict[str, object], float]] = {
    "opt": (
        {k: v for k, v in STANDARD.items() if k not in ("num_key_value_heads", "intermediate_size")}
        | {"word_embed_proj_dim": WIDTH, "ffn_dim": 48},
        1.0,
    ),
    "cohere": (STANDARD, 1.0),
    "olmo": (STANDARD, 1.0),
    "olmo2": (STANDARD, 1.0),
    "stablelm": (STANDARD, 1.0),
    "falcon": (STANDARD, 1.0),
    "mpt": ({"d_model": WIDTH, "n_heads": 4, "n_layers": 3, "vocab_size": 100}, 1.0),
    "starcoder2": (STANDARD, 1.0),
    "granite": (STANDARD | {"embedding_multiplier": 12.0, "residual_multiplier": 0.22}, 12.0),
    "gemma": (STANDARD | {"head_dim": 8}, sqrt(WIDTH)),
    "gemma2": (STANDARD | {"head_dim": 8}, sqrt(WIDTH)),
    "phi3": (STANDARD, 1.0),
    "glm4": (STANDARD | {"head_dim": 8}, 1.0),
    "gptj": (GPT_LIKE | {"rotary_dim": 4}, 1.0),
    "gpt_bigcode": (GPT_LIKE, 1.0),
    "mixtral": (STANDARD | {"num_local_experts": 2}, 1.0),
    "openai-gpt": (GPT_LIKE, 1.0),
}


def tiny(host: PoolHost, num_blocks: int = 3) -> PreTrainedModel:
    config = tiny_config(
        host,
        width=WIDTH,
        num_blocks=num_blocks,
        num_heads=4,
        vocab_size=100,
        max_positions=32,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )
    return with_unlike_norms(fresh_model(config, seed=0))


def with_unlike_norms(model: PreTrainedModel) -> PreTrainedModel:
    """Fresh norms are all ones: one could stand in for another unseen."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def num_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.tag)
def test_the_parts_of_every_pool_host_are_found_and_proved(host: PoolHost) -> None:
    model = tiny(host)
    # transformers installs hooks of its own, once, when hidden states are first asked for
    model(torch.ones(1, 2, dtype=torch.long), output_hidden_states=True)
    hooks = num_hooks(model)
    model.train()
    parts = find_parts(model)
    scale = sqrt(WIDTH) if host.model_type.startswith("gemma") else 1.0
    assert len(parts.blocks) == 3
    assert parts.final_norm is not None
    assert (parts.embedding_norm is not None) == (host.model_type == "bloom")
    assert parts.embedding_scale is not None
    assert isclose(parts.embedding_scale, scale, rel_tol=1e-5)
    assert parts.inputs_scale == 1.0
    assert model.training
    assert num_hooks(model) == hooks


@pytest.mark.parametrize("model_type", NEVER_TOLD)
def test_families_that_no_table_names_pass(model_type: str) -> None:
    fields, scale = NEVER_TOLD[model_type]
    parts = find_parts(with_unlike_norms(fresh_model(CONFIG_MAPPING[model_type](**fields), seed=0)))
    assert len(parts.blocks) == 3
    assert parts.embedding_scale is not None
    assert isclose(parts.embedding_scale, scale, rel_tol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tag", ["gpt2-medium", "gemma3-12b-it", "gpt-neo-1p3b", "bloom-560m"])
def test_the_proof_holds_in_half_precision(tag: str, dtype: torch.dtype) -> None:
    parts = find_parts(tiny(pool_host(tag)).to(dtype))
    scale = sqrt(WIDTH) if tag.startswith("gemma") else 1.0
    assert parts.embedding_scale is not None
    assert isclose(parts.embedding_scale, scale, rel_tol=1e-2)


def test_a_family_may_scale_what_it_is_given_as_embeddings() -> None:
    config = CONFIG_MAPPING["granite"](**NEVER_TOLD["granite"][0])
    model = fresh_model(config, seed=0)
    parts = find_parts(model)
    wanted_BTD = torch.randn(1, 4, WIDTH, generator=torch.Generator().manual_seed(0))
    entered: list[torch.Tensor] = []
    parts.blocks[0].register_forward_pre_hook(lambda _m, args: entered.append(args[0]))
    model(inputs_embeds=wanted_BTD / parts.inputs_scale)
    assert torch.allclose(entered[0], wanted_BTD, atol=1e-6)


def test_the_decoder_is_found_inside_a_multimodal_wrapper() -> None:
    # the vision towers have as many blocks as the decoder
    sizes = {k: STANDARD[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers")}
    vision = sizes | {"num_attention_heads": 4, "image_size": 8, "patch_size": 4}
    text = tiny(pool_host("gemma3-12b-it")).config
    gemma = Gemma3Config(
        text_config=text, vision_config=SiglipVisionConfig(**vision), mm_tokens_per_image=1
    )
    llava = LlavaConfig(
        text_config=CONFIG_MAPPING["llama"](**STANDARD),
        vision_config=CLIPVisionConfig(**vision, projection_dim=WIDTH),
        image_token_id=99,
    )
    for model in (
        AutoModelForCausalLM.from_config(gemma),
        AutoModelForImageTextToText.from_config(llava),
    ):
        parts = find_parts(model)
        assert parts.blocks is model.model.language_model.layers
        assert parts.final_norm is model.model.language_model.norm


def llama() -> PreTrainedModel:
    return tiny(pool_host("deepseek-llm-7b"))


def test_two_equal_lists_of_blocks_are_refused() -> None:
    model = llama()
    model.model.spare = deepcopy(model.model.layers)
    with pytest.raises(UnknownArchitecture, match="may both be"):
        find_parts(model, check=False)


def test_of_two_lists_as_near_the_larger_holds_the_blocks() -> None:
    model = llama()
    model.model.adapters = nn.ModuleList(nn.Linear(WIDTH, 2) for _ in range(3))
    assert find_parts(model).blocks is model.model.layers


def test_no_list_of_blocks_is_refused() -> None:
    model = llama()
    model.config.num_hidden_layers = 5
    with pytest.raises(UnknownArchitecture, match="no ModuleList holds 5"):
        find_parts(model)


def test_something_between_two_blocks_is_refused() -> None:
    model = llama()
    model.model.layers[1].register_forward_pre_hook(lambda _m, args: (args[0] * 1.01, *args[1:]))
    with pytest.raises(UnknownArchitecture, match="enters block 1"):
        find_parts(model)


def test_a_changed_embedding_is_refused() -> None:
    model = llama()
    model.model.layers[0].register_forward_pre_hook(lambda _m, args: (args[0].tanh(), *args[1:]))
    model.model.embed_tokens.weight.data *= 100
    with pytest.raises(UnknownArchitecture, match="enters block 0"):
        find_parts(model)


def test_two_norms_after_the_blocks_are_refused() -> None:
    model = llama()
    model.model.other_norm = nn.LayerNorm(WIDTH)
    with pytest.raises(UnknownArchitecture, match="2 after model.layers"):
        find_parts(model)


class Handmade(PreTrainedModel):
    """Three blocks in any order, and a factor on what the last norm gives."""

    config_class = CONFIG_MAPPING["llama"]

    def __init__(self, order: tuple[int, ...], factor: float) -> None:
        super().__init__(CONFIG_MAPPING["llama"](**STANDARD))
        self.order, self.factor = order, factor
        self.embed = nn.Embedding(100, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in order)
        self.norm = nn.LayerNorm(WIDTH)

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def forward(self, ids_BT: torch.Tensor, **_options: object) -> CausalLMOutput:
        states = [self.embed(ids_BT)]
        for index in self.order:
            states.append(self.layers[index](states[-1]))
        return CausalLMOutput(hidden_states=(*states[:-1], self.factor * self.norm(states[-1])))


def test_a_handmade_model_in_order_passes() -> None:
    parts = find_parts(Handmade((0, 1, 2), 1.0))
    assert parts.embedding_scale == 1.0


def test_blocks_that_run_in_another_order_are_refused() -> None:
    with pytest.raises(UnknownArchitecture, match=r"order \[2, 1, 0\]"):
        find_parts(Handmade((2, 1, 0), 1.0))


def test_a_final_norm_that_is_not_the_last_step_is_refused() -> None:
    with pytest.raises(UnknownArchitecture, match="final norm"):
        find_parts(Handmade((0, 1, 2), 2.0))


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.tag)
def test_published_sizes_build_the_published_model(host: PoolHost) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(published_config(host))
    parts = find_parts(model, check=False)
    assert len(parts.blocks) == host.num_blocks > host.block_index
    assert parts.embedding.weight.shape == (host.vocab_size, host.width)
    if host.num_parameters is not None:
        assert sum(p.numel() for p in model.parameters()) == host.num_parameters
