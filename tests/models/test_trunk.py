"""Vectors enter whole models where they should and nowhere else; only adapters are trained."""

from contextlib import ExitStack
from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, DynamicCache, PreTrainedModel

from interlingua.core.injection import marker_positions, scaled
from interlingua.models.hosts.parts import HostParts, block_output, find_parts
from interlingua.models.pair.trunk import Sites, Trunk, add_lora
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import AfterBlock, InjectionRule, Replace
from interlingua.specs.training import LoraSpec
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

torch.set_num_threads(1)

WIDTH, VOCAB, NUM_BLOCKS, AFTER = 32, 100, 3, 1
REPLACE, KARVONEN = Replace(), AfterBlock(index=AFTER)
TAGS = {
    "qwen3": "qwen3-1p7b",
    "qwen2": "qwen2p5-0p5b",
    "gemma3": "gemma3-12b-it",
    "gemma4": "gemma4-e4b",
    "llama": "smollm2-360m",
    "mistral": "vikhr-7b-01",
    "gpt2": "gpt2-medium",
    "gpt_neox": "pythia-410m",
    "bloom": "bloom-560m",
}
GRANITE = {
    "hidden_size": WIDTH,
    "num_hidden_layers": NUM_BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": VOCAB,
    "embedding_multiplier": 12.0,
}
FAMILIES = (*TAGS, "granite")
MARKER, LEFT, RIGHT, NUM_SLOTS = 50, 8, 9, 2
# the second row says a marker, and even a whole site
IDS = [
    [5, 6, LEFT, MARKER, MARKER, RIGHT, 11, 12, 13, 14, 15],
    [6, LEFT, MARKER, MARKER, RIGHT, 7, MARKER, LEFT, MARKER, MARKER, RIGHT],
]
LORA = LoraSpec(
    rank=4, alpha=8.0, dropout=0.0, targets=("q_proj", "down_proj"), rank_stabilised=True
)


def model_of(family: str) -> PreTrainedModel:
    """A random model of the family whose blocks matter: fresh weights hardly move a token."""
    if family == "granite":  # multiplies behind its embedding module
        config = CONFIG_MAPPING["granite"](**GRANITE)
    else:
        config = tiny_config(
            pool_host(TAGS[family]),
            width=WIDTH,
            num_blocks=NUM_BLOCKS,
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


def trunk_of(family: str, rule: InjectionRule) -> tuple[Trunk, HostParts]:
    model = model_of(family)
    parts = find_parts(model)
    return Trunk(model, parts, rule=rule), parts


def inputs() -> tuple[Tensor, Tensor]:
    """Ids, and where the slots of their prompts are."""
    ids_BT = torch.tensor(IDS)
    prompt_BT = (torch.arange(ids_BT.shape[1]) < 6).expand(2, -1)
    tokens = {"marker_id": MARKER, "left_id": LEFT, "right_id": RIGHT}
    return ids_BT, marker_positions(ids_BT, prompt_BT, **tokens, num_slots=NUM_SLOTS)


def vectors() -> Tensor:
    return torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(0))


def carried(v_BD: Tensor) -> Tensor:
    """[B, S, D]: unlike vectors for the two slots, both of norm sqrt(D)."""
    return scaled(torch.stack([v_BD, v_BD.flip(1)], dim=1), sqrt(WIDTH))


@torch.no_grad()
def seen(trunk: Trunk, parts: HostParts, sites: Sites | None) -> tuple[list[Tensor], Tensor]:
    """What entered every block and left the last one, and the logits."""
    entered: list[Tensor] = []
    ids_BT, _ = inputs()
    with ExitStack() as hooks:
        for block in parts.blocks:
            hook = block.register_forward_pre_hook(
                lambda _m, args, kwargs: entered.append(
                    (args[0] if args else kwargs["hidden_states"]).clone()
                ),
                with_kwargs=True,
            )
            hooks.callback(hook.remove)
        last = parts.blocks[-1].register_forward_hook(
            lambda _m, _a, out: entered.append(block_output(out).clone())
        )
        hooks.callback(last.remove)
        logits_BTV = trunk(ids_BT, sites=sites)
    return entered, logits_BTV


def is_slot(positions_BS: Tensor) -> Tensor:
    return torch.zeros(2, len(IDS[0]), dtype=torch.bool).scatter(1, positions_BS, True)


@pytest.mark.parametrize("family", FAMILIES)
def test_replace_puts_the_vector_before_block_0(family):
    trunk, parts = trunk_of(family, REPLACE)
    ids_BT, positions_BS = inputs()
    (plain_BTD, *_), plain_logits = seen(trunk, parts, None)
    x_BSD = carried(vectors())
    (written_BTD, *_), logits_BTV = seen(trunk, parts, Sites(x_BSD, positions_BS))
    slots_BT, rows_B1 = is_slot(positions_BS), torch.arange(2)[:, None]
    if parts.embedding_norm is None:
        # what the model adds for a position is not the marker's
        embedded_BTD = parts.embedding(ids_BT).detach() * parts.inputs_scale
        expected_BSD = x_BSD + (plain_BTD - embedded_BTD)[rows_B1, positions_BS]
    else:  # bloom: the vector takes the way of an embedding, through the norm
        expected_BSD = parts.embedding_norm(x_BSD).detach()
    torch.testing.assert_close(
        written_BTD[rows_B1, positions_BS], expected_BSD, rtol=1e-5, atol=1e-5
    )
    assert torch.equal(written_BTD[~slots_BT], plain_BTD[~slots_BT])
    assert not torch.allclose(logits_BTV[:, -1], plain_logits[:, -1], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_karvonen_changes_the_output_of_its_block_by_the_formula(family):
    trunk, parts = trunk_of(family, KARVONEN)
    _, positions_BS = inputs()
    plain, _ = seen(trunk, parts, None)
    x_BSD = carried(vectors())
    written, _ = seen(trunk, parts, Sites(x_BSD, positions_BS))
    slots_BT, rows_B1 = is_slot(positions_BS), torch.arange(2)[:, None]
    # the output of block K is what entered block K + 1
    assert all(map(torch.equal, written[: AFTER + 1], plain[: AFTER + 1]))
    h_BSD = plain[AFTER + 1][rows_B1, positions_BS]
    expected_BSD = h_BSD + h_BSD.norm(dim=2, keepdim=True) * x_BSD / sqrt(WIDTH)
    torch.testing.assert_close(
        written[AFTER + 1][rows_B1, positions_BS], expected_BSD, rtol=1e-5, atol=1e-5
    )
    assert torch.equal(written[AFTER + 1][~slots_BT], plain[AFTER + 1][~slots_BT])
    # the next block carries it to later positions, by attention, and to no earlier one
    is_changed_BT = (written[AFTER + 2] != plain[AFTER + 2]).any(2)
    is_later_BT = torch.arange(len(IDS[0])) >= positions_BS[:, :1]
    assert torch.equal(is_changed_BT, is_later_BT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_karvonen_with_zero_vectors_is_no_injection(family, dtype):
    trunk, parts = trunk_of(family, KARVONEN)
    trunk.to(dtype)
    zeros_BSD = torch.zeros(2, NUM_SLOTS, WIDTH)
    _, logits_BTV = seen(trunk, parts, Sites(zeros_BSD, inputs()[1]))
    assert torch.equal(logits_BTV, seen(trunk, parts, None)[1])


@pytest.mark.parametrize("rule", [REPLACE, KARVONEN])
def test_nothing_is_left_behind_by_a_forward(rule):
    trunk, parts = trunk_of("qwen3", rule)
    plain_BTV = seen(trunk, parts, None)[1]
    ids_BT, positions_BS = inputs()
    sites = Sites(carried(vectors()), positions_BS)
    assert not torch.equal(trunk(ids_BT, sites=sites), plain_BTV)
    assert torch.equal(seen(trunk, parts, None)[1], plain_BTV)
    with pytest.raises(IndexError):
        trunk(ids_BT + VOCAB, sites=sites)
    assert torch.equal(seen(trunk, parts, None)[1], plain_BTV)


@pytest.mark.parametrize("index", [NUM_BLOCKS, NUM_BLOCKS + 5])
def test_a_block_that_is_not_there_is_refused(index):
    model = model_of("qwen3")
    with pytest.raises(ValueError, match=rf"AfterBlock.index is {index}; .* blocks are 0\.\.2"):
        Trunk(model, find_parts(model), rule=AfterBlock(index=index))


def test_an_unmeasured_scale_is_not_taken_for_one():
    """Where it is 12, the vector would enter block 0 twelve times too long."""
    model = model_of("granite")
    parts = replace(find_parts(model), embedding_scale=None, inputs_scale=None)
    with pytest.raises(ValueError, match="inputs_scale"):
        Trunk(model, parts, rule=REPLACE)
    Trunk(model, parts, rule=KARVONEN)


@pytest.mark.parametrize("num_logits", [0, 1, 4])
def test_a_cache_and_the_last_logits_change_no_number(num_logits):
    trunk, _ = trunk_of("qwen3", KARVONEN)
    ids_BT, positions_BS = inputs()
    x_BSD = carried(vectors())
    with torch.no_grad():
        whole_BTV = trunk(ids_BT, sites=Sites(x_BSD, positions_BS))
        cache = DynamicCache()
        trunk(ids_BT[:, :2], cache=cache)
        sites = Sites(x_BSD, positions_BS - 2)
        rest_BTV = trunk(ids_BT[:, 2:], sites=sites, cache=cache, num_logits=num_logits)
    num_rest = num_logits or ids_BT.shape[1] - 2
    torch.testing.assert_close(rest_BTV, whole_BTV[:, -num_rest:], rtol=1e-5, atol=1e-5)


def test_a_cache_that_checkpointing_would_drop_is_refused():
    """Blocks that run again ignore a cache, without a word: the prefix would be lost."""
    trunk, _ = trunk_of("qwen3", REPLACE)
    trunk.checkpoint_gradients()
    trunk.train()
    with pytest.raises(ValueError, match="cache"):
        trunk(inputs()[0], cache=DynamicCache())
    trunk.eval()
    trunk(inputs()[0], cache=DynamicCache())


@pytest.mark.parametrize(
    ("family", "targets", "message"),
    [
        ("qwen3", ("q_proj", "c_attn"), r"names c_attn, .*Qwen3.*: down_proj, gate_proj, k_proj, "),
        ("gpt2", ("q_proj", "proj"), "names q_proj, proj, .*GPT2.*: c_attn, c_fc, c_proj, lm_head"),
        # their rows are what a vector replaces
        ("qwen3", ("embed_tokens",), "names embed_tokens, "),
    ],
)
def test_targets_that_are_no_linear_layers_are_refused(family, targets, message):
    model = model_of(family)
    with pytest.raises(ValueError, match=message):
        add_lora(model, replace(LORA, targets=targets), seed=0)
    assert all(p.requires_grad and "lora" not in n for n, p in model.named_parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("targets", [("q_proj", "down_proj"), ("c_attn", "c_fc")])
def test_only_adapters_train_and_fresh_ones_change_nothing(targets, dtype):
    trunk, _ = trunk_of("gpt2" if "c_fc" in targets else "qwen3", REPLACE)
    trunk.to(dtype)
    ids_BT, positions_BS = inputs()
    sites = Sites(carried(vectors()), positions_BS)
    before_BTV = trunk(ids_BT, sites=sites)
    num_frozen = sum(p.numel() for p in trunk.parameters())
    add_lora(trunk.model, replace(LORA, targets=targets), seed=0)
    logits_BTV = trunk(ids_BT, sites=sites)
    assert logits_BTV.dtype == dtype
    assert torch.equal(logits_BTV, before_BTV)
    trained = {n: p for n, p in trunk.named_parameters() if p.requires_grad}
    assert all("lora_" in name and p.dtype == torch.float32 for name, p in trained.items())
    assert len(trained) == 2 * len(targets) * NUM_BLOCKS
    frozen = [p for p in trunk.parameters() if not p.requires_grad]
    assert sum(p.numel() for p in frozen) == num_frozen
    assert {p.dtype for p in frozen} == {dtype}
    logits_BTV.float().square().sum().backward()
    for name, parameter in trained.items():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any() == ("lora_B" in name), name


@pytest.mark.parametrize(("rank_stabilised", "scale"), [(True, 8 / 4**0.5), (False, 8 / 4)])
def test_an_adapter_adds_its_scaled_product(rank_stabilised, scale):
    model = model_of("qwen3")
    add_lora(model, replace(LORA, rank_stabilised=rank_stabilised), seed=0)
    layer = model.model.layers[2].self_attn.q_proj
    down, up = (next(iter(part.values())).weight for part in (layer.lora_A, layer.lora_B))
    up.data.normal_(generator=torch.Generator().manual_seed(0))
    h_BTD = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(1))
    expected_BTD = h_BTD @ (layer.weight + scale * up @ down).T
    torch.testing.assert_close(layer(h_BTD), expected_BTD, rtol=1e-5, atol=1e-4)


def test_the_seed_alone_decides_fresh_adapters():
    def adapters(seed: int) -> list[Tensor]:
        model = model_of("qwen3")
        add_lora(model, LORA, seed=seed)
        return [p for n, p in model.named_parameters() if "lora_A" in n]

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = adapters(0), adapters(0), adapters(1)
    assert torch.equal(torch.rand(3), expected)
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    assert len({p.sum().item() for p in first}) == 2 * NUM_BLOCKS
