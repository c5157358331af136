"""The loss of an explanation is that of a plain forward over the whole text, vectors in it."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, PreTrainedModel

from interlingua.core.affine import SlotAffine, fresh_affine
from interlingua.models.hosts.parts import block_output, find_parts
from interlingua.models.pair import verbalizer
from interlingua.models.pair.prompts import IGNORED, AvPrompt
from interlingua.models.pair.trunk import Trunk, add_lora
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import AfterBlock, BiasOnly, Full, LowRank, Replace, Shared
from interlingua.specs.training import LoraSpec
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

pytestmark = pytest.mark.slow  # of many families: seconds together

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
OTHERS = {
    "hidden_size": WIDTH,
    "num_hidden_layers": NUM_BLOCKS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": VOCAB,
    "word_embed_proj_dim": WIDTH,
    "pad_token_id": 0,
}
GPT_LAYERS = ("c_attn", "c_fc", "query_key_value", "dense")
MARKER, NUM_SLOTS = 50, 2
PROMPT = AvPrompt(torch.tensor([5, 6, 8, MARKER, MARKER, 9, 7]), torch.tensor([3, 4]))
# a response may say a marker
RESPONSES = [[11, 12, 8, MARKER, 9, 2], [13, 2], [14, 15, 16, 2]]
LORA = LoraSpec(
    rank=4, alpha=8.0, dropout=0.0, targets=("q_proj", "down_proj"), rank_stabilised=True
)
AFFINES = (Full(), Shared(), LowRank(rank=2), BiasOnly())
RULES = pytest.mark.parametrize("rule", [REPLACE, KARVONEN])
FAMILIES = pytest.mark.parametrize("family", TAGS)


def model_of(family: str, **fields: object) -> PreTrainedModel:
    """A random model of the family whose blocks matter: fresh weights hardly move a token."""
    if family in TAGS:
        config = tiny_config(
            pool_host(TAGS[family]),
            width=WIDTH,
            num_blocks=NUM_BLOCKS,
            num_heads=4,
            vocab_size=VOCAB,
            max_positions=64,
            special_ids=SpecialIds(bos=1, eos=2, pad=0),
        )
    else:
        config = CONFIG_MAPPING[family](**OTHERS)
    config.update(fields)
    model, generator = fresh_model(config, seed=0).eval(), torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        noise = 0.3 * torch.randn(parameter.shape, generator=generator)
        parameter.data = parameter.data + noise if parameter.dim() == 1 else parameter.data * 8
    return model


def av_of(
    model: PreTrainedModel, rule: Replace | AfterBlock = REPLACE, affine: SlotAffine | None = None
) -> Verbalizer:
    trunk = Trunk(model, find_parts(model), rule=rule)
    return Verbalizer(trunk, affine, scale=sqrt(WIDTH), num_slots=NUM_SLOTS)


def moved_affine() -> SlotAffine:
    affine = fresh_affine(Full(), num_slots=NUM_SLOTS, width=WIDTH, seed=0)
    generator = torch.Generator().manual_seed(4)
    for parameter in affine.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return affine


def vectors(seed: int = 0) -> Tensor:
    return torch.randn(len(RESPONSES), WIDTH, generator=torch.Generator().manual_seed(seed))


def padded(responses: list[list[int]], extra: int = 0) -> Tensor:
    longest = max(map(len, responses)) + extra
    return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in responses])


@torch.no_grad()
def plain_nll(
    model: PreTrainedModel, rule: Replace | AfterBlock, x_SD: Tensor, response: list[int]
) -> Tensor:
    """[T] of one row alone, by Hugging Face's own means: no cache, all logits."""
    parts = find_parts(model)
    ids_1T = torch.tensor([[*PROMPT.ids_T.tolist(), *response]])
    slots = PROMPT.positions_S

    def write(_module: nn.Module, _args: object, output: object) -> object:
        h_1TD = block_output(output).clone()
        for slot, x_D in zip(slots, x_SD, strict=True):
            h_1TD[0, slot] += h_1TD[0, slot].norm() * x_D / x_D.norm()
        return (h_1TD, *output[1:]) if isinstance(output, tuple) else h_1TD

    embeds_1TD, others = parts.embedding(ids_1T), {}
    if model.config.model_type == "gemma4_text":  # reads the ids a second time
        others["per_layer_inputs"] = model.model.get_per_layer_inputs(ids_1T, None)
    if rule == REPLACE:
        embeds_1TD[0, slots] = x_SD
        logits_1TV = model(inputs_embeds=embeds_1TD, use_cache=False, **others).logits
    else:
        hook = parts.blocks[AFTER].register_forward_hook(write)
        logits_1TV = model(input_ids=ids_1T, use_cache=False).logits
        hook.remove()
    log_p_TV = logits_1TV[0, -len(response) - 1 : -1].float().log_softmax(-1)
    return -log_p_TV[range(len(response)), response]


def assert_plain(av: Verbalizer, model: PreTrainedModel, rule: Replace | AfterBlock) -> None:
    v_BD = vectors()
    with torch.no_grad():
        nll_BT = av.nll(PROMPT, v_BD, padded(RESPONSES))
        direction_BD = v_BD / v_BD.norm(dim=1, keepdim=True)
        weight_SDD, bias_SD = av.affine.weight_SDD(), av.affine.bias_SD()
    assert nll_BT.dtype == torch.float32
    for row, response in enumerate(RESPONSES):
        x_SD = weight_SDD @ (sqrt(WIDTH) * direction_BD[row]) + bias_SD
        expected_T = plain_nll(model, rule, x_SD, response)
        found_T = nll_BT[row]
        torch.testing.assert_close(found_T[: len(response)], expected_T, rtol=1e-5, atol=1e-5)
        assert not found_T[len(response) :].any()


@RULES
@FAMILIES
@pytest.mark.parametrize("shares_prefix", [True, False])
def test_the_loss_is_that_of_a_plain_forward(family, rule, shares_prefix):
    av = av_of(model_of(family), rule, moved_affine())
    av.shares_prefix = shares_prefix
    assert_plain(av, model_of(family), rule)


@pytest.mark.parametrize("window", [2, 3, 5])
def test_a_window_shorter_than_the_prompt_is_kept_behind_a_shared_prefix(window):
    narrow, wide = (model_of("gemma3", sliding_window=size) for size in (window, 64))
    assert_plain(
        av_of(model_of("gemma3", sliding_window=window), affine=moved_affine()), narrow, REPLACE
    )
    with pytest.raises(AssertionError):
        assert_plain(av_of(wide, affine=moved_affine()), narrow, REPLACE)


@RULES
def test_what_all_rows_share_is_computed_once(rule):
    av, shapes = av_of(model_of("qwen3"), rule), []
    av.trunk.model.model.layers[0].register_forward_pre_hook(
        lambda _m, args: shapes.append(tuple(args[0].shape[:2]))
    )
    av.nll(PROMPT, vectors(), padded(RESPONSES))
    assert shapes == [(1, 3), (3, 4 + 5)]
    av.shares_prefix = False
    av.nll(PROMPT, vectors(), padded(RESPONSES))
    assert shapes[2:] == [(3, 7 + 5)]


@RULES
@FAMILIES
def test_a_row_does_not_depend_on_its_batch(family, rule):
    av = av_of(model_of(family), rule, moved_affine())
    v_BD = vectors()
    with torch.no_grad():
        together_BT = av.nll(PROMPT, v_BD, padded(RESPONSES))
        longer_BT = av.nll(PROMPT, v_BD, padded(RESPONSES, extra=4))
        turned_BT = av.nll(PROMPT, v_BD.flip(0), padded(RESPONSES).flip(0)).flip(0)
        for row, response in enumerate(RESPONSES):
            alone_1T = av.nll(PROMPT, v_BD[row : row + 1], padded([response]))
            own_T = together_BT[row, : len(response)]
            torch.testing.assert_close(alone_1T[0], own_T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(turned_BT, together_BT, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(longer_BT[:, :6], together_BT, rtol=1e-5, atol=1e-5)
    assert not longer_BT[:, 6:].any()


@RULES
@FAMILIES
def test_only_tokens_of_the_response_count_and_none_that_comes_later(family, rule):
    av = av_of(model_of(family), rule)
    with torch.no_grad():
        first_BT = av.nll(PROMPT, vectors(), padded(RESPONSES))
        changed = [[*response[:-1], 77] for response in RESPONSES]
        changed_BT = av.nll(PROMPT, vectors(), padded(changed))
    for row, response in enumerate(RESPONSES):
        last = len(response) - 1
        torch.testing.assert_close(changed_BT[row, :last], first_BT[row, :last])
        assert changed_BT[row, last] != first_BT[row, last]
    is_counted_BT = padded(RESPONSES) != IGNORED
    assert torch.equal(first_BT > 0, is_counted_BT)


@RULES
@FAMILIES
def test_real_zero_and_other_vectors_give_different_losses(family, rule):
    av = av_of(model_of(family), rule)
    real_BD, response_BT = vectors(), padded(RESPONSES)
    kinds = (real_BD, torch.zeros_like(real_BD), real_BD.roll(1, 0), -real_BD)
    with torch.no_grad():
        losses = [av.nll(PROMPT, v_BD, response_BT).sum(1) for v_BD in kinds]
        longer_B = av.nll(PROMPT, 100 * real_BD, response_BT).sum(1)
    for one in range(len(kinds)):
        for other in range(one):
            assert ((losses[one] - losses[other]).abs() > 1e-3).all()
    torch.testing.assert_close(longer_B, losses[0], rtol=1e-5, atol=1e-5)


@RULES
@pytest.mark.parametrize("spec", AFFINES, ids=lambda spec: type(spec).__name__)
def test_fresh_maps_change_no_bit(spec, rule):
    affine = fresh_affine(spec, num_slots=NUM_SLOTS, width=WIDTH, seed=0)
    plain, mapped = (av_of(model_of("qwen3"), rule, maps) for maps in (None, affine))
    v_BD, response_BT = vectors(), padded(RESPONSES)
    injected_BSD = plain.injected(v_BD)
    assert injected_BSD.shape == (len(RESPONSES), NUM_SLOTS, WIDTH)
    torch.testing.assert_close(injected_BSD.norm(dim=2), torch.full((3, 2), sqrt(WIDTH)))
    assert torch.equal(mapped.injected(v_BD), injected_BSD)
    assert torch.equal(mapped.nll(PROMPT, v_BD, response_BT), plain.nll(PROMPT, v_BD, response_BT))


# What they do behind the output embedding: a bound by tanh, and a factor.
SCALED = {
    "gemma3, bounded": ("gemma3", {"final_logit_softcapping": 3.0}),
    "granite": ("granite", {"logits_scaling": 4.0}),
    "cohere": ("cohere", {"logit_scale": 0.25}),
    "opt": ("opt", {}),  # whose decoder is called past the model that holds it
}
PARTS = pytest.mark.parametrize("num_parts", [2, 5, 40])


@RULES
@PARTS
@pytest.mark.parametrize("family", [*TAGS, *SCALED])
def test_logits_in_parts_give_the_loss_of_logits_at_once(family, rule, num_parts, monkeypatch):
    name, fields = SCALED.get(family, (family, {}))
    av = av_of(model_of(name, **fields), rule, moved_affine())
    v_BD, response_BT = vectors(), padded(RESPONSES, extra=2)
    with torch.no_grad():
        whole_BT = av.nll(PROMPT, v_BD, response_BT)
        parts_BT = av.nll(PROMPT, v_BD, response_BT, num_parts=num_parts)
        torch.testing.assert_close(parts_BT, whole_BT, rtol=1e-5, atol=1e-5)
        # The model is whole again, and chooses by itself what does not fit.
        assert torch.equal(av.nll(PROMPT, v_BD, response_BT), whole_BT)
        bytes_of_row = response_BT.shape[1] * VOCAB * verbalizer.BYTES_OF_LOGIT
        monkeypatch.setattr(verbalizer, "BYTES_AT_ONCE", bytes_of_row)
        assert av.num_parts(response_BT.numel()) == len(RESPONSES)
        torch.testing.assert_close(
            av.nll(PROMPT, v_BD, response_BT), whole_BT, rtol=1e-5, atol=1e-5
        )


@RULES
def test_for_logits_in_parts_blocks_run_once_and_with_gradients_there_are_none(rule):
    av, shapes = av_of(model_of("qwen3"), rule), []
    model = av.trunk.model
    model.model.layers[0].register_forward_pre_hook(
        lambda _m, args: shapes.append(tuple(args[0].shape[:2]))
    )
    logits = []
    model.lm_head.register_forward_hook(lambda _m, _a, out: logits.append(tuple(out.shape[:2])))
    with torch.no_grad():
        av.nll(PROMPT, vectors(), padded(RESPONSES), num_parts=4)
    assert shapes == [(1, 3), (3, 4 + 5)]
    assert logits == [(1, 1), (3, 1), (1, 3), (1, 3), (1, 3), (1, 3)]  # of 12 real tokens
    logits.clear()
    av.nll(PROMPT, vectors(), padded(RESPONSES), num_parts=4)
    assert logits == [(1, 1), (3, 6)]


def test_a_trunk_in_bf16_gives_nearly_the_same_loss():
    av, half = (av_of(model_of("qwen3"), REPLACE, moved_affine()) for _ in range(2))
    half.trunk.to(torch.bfloat16)
    with torch.no_grad():
        exact_BT = av.nll(PROMPT, vectors(), padded(RESPONSES))
        nll_BT = half.nll(PROMPT, vectors().bfloat16(), padded(RESPONSES))
    assert nll_BT.dtype == torch.float32
    torch.testing.assert_close(nll_BT, exact_BT, rtol=0.05, atol=0.2)


def gradients(family: str, rule: Replace | AfterBlock, how: str) -> dict[str, Tensor]:
    """Of adapters, affine maps and two batches of vectors; one backward ends two forwards."""
    model, affine = model_of(family), moved_affine()
    av = av_of(model, rule, affine)
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    targets = tuple(names.intersection((*LORA.targets, *GPT_LAYERS)))
    add_lora(model, replace(LORA, targets=tuple(sorted(targets))), seed=0)
    generator = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    if how == "plain":
        av.shares_prefix = False
    if how == "blocks run again":
        av.checkpoint_gradients()
    num_runs = [0]
    inner = next(m for n, m in find_parts(model).blocks[-1].named_modules() if n.endswith("lora_A"))
    next(iter(inner.values())).register_forward_pre_hook(
        lambda *_: num_runs.__setitem__(0, num_runs[0] + 1)
    )
    av.train()
    given = {f"v {seed}": vectors(seed).requires_grad_() for seed in (1, 2)}
    losses = [av.nll(PROMPT, v_BD, padded(RESPONSES)).sum() for v_BD in given.values()]
    (losses[0] + 3 * losses[1]).backward()
    # two of a prefix and two behind it; two that run again
    assert num_runs[0] == (2 if how == "plain" else 4)
    trained = {name: p for name, p in av.named_parameters() if p.requires_grad}
    return {name: leaf.grad for name, leaf in (given | trained).items()}


@RULES
@FAMILIES
@pytest.mark.parametrize("how", ["shared prefix", "blocks run again"])
def test_gradients_are_those_of_a_plain_forward(family, rule, how):
    plain, other = (gradients(family, rule, kind) for kind in ("plain", how))
    assert plain.keys() == other.keys()
    assert {"v 1", "v 2", "affine.delta_MDD", "affine.offset_MD"} < plain.keys()
    for name, gradient in plain.items():
        assert gradient.norm() > 0, name
        assert (other[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
