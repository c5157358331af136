"""Sampling gives what the model says: token for token, whatever else is in the batch."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from interlingua.core.injection import scaled
from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.prompts import CLOSING, AvPrompt, right_padded
from interlingua.models.pair.trunk import Trunk
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.decoding import Decoder
from interlingua.models.sampling.drawing import draw, uniforms
from interlingua.models.sampling.ending import Decoded, Ending
from interlingua.models.sampling.running import Sample
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import AfterBlock, Replace
from interlingua.specs.training import SamplingSpec
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

torch.set_num_threads(1)

TAGS = ("qwen3-1p7b", "qwen2p5-7b", "gemma4-e4b", "deepseek-llm-7b", "gpt2-medium",
        "pythia-410m", "bloom-560m", "vikhr-7b-01")  # fmt: skip
WIDTH, VOCAB, NUM_SLOTS = 32, 120, 2
REPLACE = Replace()
EOS, CLOSE, SPLIT = 2, 90, (91, 92, 93)
PROMPT = AvPrompt(torch.tensor([5, 6, 7, 50, 50, 8, 9]), torch.tensor([3, 4]))
GREEDY = SamplingSpec(seed=0, temperature=0.0, samples=1, max_new_tokens=12)
SAMPLED = SamplingSpec(seed=3, temperature=1.0, samples=3, max_new_tokens=12)


class Words:
    """A tokenizer that decodes to numbers, and to the closing tag in one piece or in three."""

    eos_token_id, pad_token_id = EOS, 0
    pieces = {CLOSE: "</explanation>", SPLIT[0]: "x</expl", SPLIT[1]: "anati", SPLIT[2]: "on>."}

    def get_vocab(self):
        return {self.pieces.get(i, f"w{i}"): i for i in range(VOCAB)}

    def decode(self, ids, *, skip_special_tokens):
        assert not skip_special_tokens
        return "".join(self.pieces.get(i, f" {i}") for i in ids)


def verbalizer(tag="qwen3-1p7b", *, rule=REPLACE, eos=None):
    """A tiny AV whose attention matters; `eos` None: nothing ends a text."""
    config = tiny_config(
        pool_host(tag),
        width=WIDTH,
        num_blocks=3,
        num_heads=4,
        vocab_size=VOCAB,
        max_positions=64,
        special_ids=SpecialIds(bos=1, eos=EOS, pad=0),
    )
    model = fresh_model(config, 0).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4.0 if weight.ndim > 1 else 1.0)
    model.generation_config.eos_token_id = eos
    trunk = Trunk(model, find_parts(model), rule=rule)
    return Verbalizer(trunk, None, scale=WIDTH**0.5, num_slots=NUM_SLOTS).eval()


class Endless(Words):
    """Nothing that it knows ends a text."""

    eos_token_id = None
    pieces = {}


def vectors(count=5):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1))


def keys(count=5):
    return [f"row {place}" for place in range(count)]


def ids_of(samples):
    return [[list(sample.ids) for sample in row] for row in samples]


@pytest.mark.parametrize("tag", TAGS)
def test_greedy_is_what_generate_gives(tag):
    av, v_BD = verbalizer(tag), vectors()
    ours = Decoder(av, Endless())(PROMPT, v_BD, keys(), GREEDY)
    model = av.trunk.model
    ids_BT = PROMPT.ids_T.expand(len(v_BD), -1)
    # The hook writes the vectors in while the prompt is read; later tokens have no sites.
    first = {"sites": av.sites(PROMPT, v_BD, 0)}
    forward = model.forward

    def only_first(*args, **kwargs):
        with av.trunk._with(first.pop("sites", None)):
            return forward(*args, **kwargs)

    model.forward = only_first
    found_BT = model.generate(
        ids_BT, attention_mask=torch.ones_like(ids_BT), max_new_tokens=12, do_sample=False,
        pad_token_id=0,
    )  # fmt: skip
    model.forward = forward
    assert ids_of(ours) == [[row] for row in found_BT[:, len(PROMPT.ids_T) :].tolist()]


def test_greedy_is_what_generate_gives_from_embeddings():
    av, v_BD = verbalizer(), vectors()
    embeds_BTD = av.trunk.model.get_input_embeddings()(PROMPT.ids_T).expand(5, -1, -1).clone()
    embeds_BTD[:, PROMPT.positions_S] = scaled(v_BD, WIDTH**0.5)[:, None].expand(-1, 2, -1)
    found_BT = av.trunk.model.generate(
        inputs_embeds=embeds_BTD, attention_mask=torch.ones(embeds_BTD.shape[:2]).long(),
        max_new_tokens=12, do_sample=False, pad_token_id=0,
    )  # fmt: skip
    ours = Decoder(av, Endless())(PROMPT, v_BD, keys(), GREEDY)
    assert ids_of(ours) == [[row] for row in found_BT.tolist()]


@pytest.mark.parametrize("rule", [REPLACE, AfterBlock(index=1)])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_log_probabilities_are_those_of_a_second_pass(rule, temperature):
    av, v_BD = verbalizer(rule=rule), vectors()
    spec = replace(SAMPLED, temperature=temperature, samples=1)
    samples = [row[0] for row in Decoder(av, Endless())(PROMPT, v_BD, keys(), spec)]
    with torch.no_grad():
        nll_BT = av.nll(PROMPT, v_BD, right_padded([s.ids for s in samples], -100))
    for sample, nll_T in zip(samples, nll_BT, strict=True):
        np.testing.assert_allclose(sample.log_probs, -nll_T[: len(sample.ids)], atol=1e-5)


def test_a_row_depends_on_its_key_alone():
    av, v_BD = verbalizer(), vectors()
    decoder = Decoder(av, Words())
    together = decoder(PROMPT, v_BD, keys(), SAMPLED)
    order = [3, 0, 4]
    some = decoder(PROMPT, v_BD[order], [keys()[place] for place in order], SAMPLED)
    assert ids_of(some) == [ids_of(together)[place] for place in order]
    for place, row in enumerate(together):
        alone = decoder(PROMPT, v_BD[place : place + 1], [keys()[place]], SAMPLED)
        assert ids_of(alone) == ids_of([row])


def test_samples_differ_and_come_again_and_more_of_them_begin_alike():
    decoder, v_BD = Decoder(verbalizer(), Endless()), vectors()
    first, again = (decoder(PROMPT, v_BD, keys(), SAMPLED) for _ in range(2))
    assert ids_of(first) == ids_of(again)
    assert all(len(set(map(tuple, row))) == 3 for row in ids_of(first))
    more = decoder(PROMPT, v_BD, keys(), replace(SAMPLED, samples=4))
    assert [row[:3] for row in ids_of(more)] == ids_of(first)
    assert ids_of(decoder(PROMPT, v_BD, keys(), replace(SAMPLED, seed=4))) != ids_of(first)


def test_draws_follow_the_distribution():
    logits_V = torch.randn(1300, generator=torch.Generator().manual_seed(0)) * 2
    logits_V[7] = -torch.inf
    uniforms_R = torch.from_numpy(np.random.default_rng(0).random(40_000))
    ids_R, log_probs_R = draw(logits_V.expand(40_000, -1), uniforms_R, 1.0)
    expected_V = logits_V.softmax(0).double()
    assert 7 not in ids_R
    np.testing.assert_allclose(log_probs_R, logits_V.log_softmax(0)[ids_R], atol=1e-5)
    common = torch.topk(expected_V, 60).indices.tolist()
    counts = Counter(ids_R.tolist())
    seen = np.array([counts[i] for i in common] + [0])
    seen[-1] = 40_000 - seen.sum()
    shares = np.array([*expected_V[common], 0.0])
    shares[-1] = 1 - shares.sum()
    assert stats.chisquare(seen, 40_000 * shares).pvalue > 1e-3


@pytest.mark.parametrize("edge", [0.0, 1 - 1e-17, 0.5])
def test_the_edges_of_a_draw_stay_within_the_vocabulary(edge):
    logits_RV = torch.full((1, 700), -torch.inf)
    logits_RV[0, [3, 650]] = 0.0
    ids_R, _ = draw(logits_RV, torch.tensor([edge], dtype=torch.float64), 1.0)
    assert int(ids_R) in {3, 650}


def test_uniforms_are_keyed():
    spec = replace(SAMPLED, max_new_tokens=1000)
    found_NT = uniforms(["one", "two"], spec)
    assert found_NT.shape == (6, 1000) and len(found_NT.unique()) > 5990
    assert found_NT[3:].equal(uniforms(["two"], spec))
    assert found_NT.min() >= 0 and found_NT.max() < 1


def test_what_ended_early_is_dropped_and_changes_nothing(monkeypatch):
    """With drops after every end, or never, the same is said."""
    av, v_BD = verbalizer(eos=EOS), vectors(12)
    spec = replace(SAMPLED, max_new_tokens=40)
    # Ends are made common, so that rows end at different steps.
    with torch.no_grad():
        av.trunk.model.get_output_embeddings().weight[EOS] *= 3
    said = {}
    for share in (0.01, 0.25, 2.0):
        monkeypatch.setattr("interlingua.models.sampling.running.DROPPED_SHARE", share)
        said[share] = Decoder(av, Words())(PROMPT, v_BD, keys(12), spec)
    lengths = {len(sample.ids) for row in said[0.25] for sample in row}
    assert len(lengths) > 3
    assert ids_of(said[0.01]) == ids_of(said[0.25]) == ids_of(said[2.0])


def reached(*ids):
    ending = Ending(verbalizer(eos=EOS).trunk.model, Words())
    beginnings = [
        Sample(uniforms_T=np.zeros(1), temperature=0, ids=list(ids[:end]))
        for end in range(1, len(ids) + 1)
    ]
    return ending.is_reached(beginnings).tolist()


def test_a_text_ends_at_its_closing_tag_in_one_piece_or_several_and_at_eos():
    assert reached(7, 8, CLOSE) == [False, False, True]
    assert reached(7, *SPLIT) == [False, False, False, True]
    assert reached(7, SPLIT[0], SPLIT[2]) == [False] * 3
    assert reached(7, EOS) == [False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<explanation> a farm </explanation>", "a farm"),
        ("<explanation> </explanation>", None),
        ("a farm </explanation>", None),
        ("<explanation> a farm", None),
    ],
)
def test_the_explanation_of_a_sample_stands_between_its_tags(text, expected):
    assert Decoded((), (), text, is_closed=CLOSING in text).explanation == expected


@pytest.mark.parametrize(("last", "is_closed"), [(CLOSE, True), (EOS, False), (7, False)])
def test_a_sample_says_whether_it_closed_its_tag(last, is_closed):
    ending = Ending(verbalizer(eos=EOS).trunk.model, Words())
    decoded = ending.decoded([11, last], [-0.5, -0.25])
    assert (decoded.ids, decoded.log_probs) == ((11, last), (-0.5, -0.25))
    assert decoded.is_closed is is_closed
    assert ("</explanation>" in decoded.text) is is_closed


def test_a_marker_that_is_said_is_a_word_like_any_other():
    """Injection is done with when the prompt is read: said markers are embedded as they are."""
    av, v_BD = verbalizer(), vectors(2)
    with torch.no_grad():
        av.trunk.model.get_output_embeddings().weight[50] *= 8
    samples = Decoder(av, Endless())(PROMPT, v_BD, keys(2), replace(SAMPLED, samples=8))
    said = [sample for row in samples for sample in row if 50 in sample.ids[:-1]]
    assert said
    for place, row in enumerate(samples):
        ids = right_padded([sample.ids for sample in row], -100)
        with torch.no_grad():
            nll_BT = av.nll(PROMPT, v_BD[place].expand(8, -1), ids)
        found = np.array([sample.log_probs for sample in row])
        np.testing.assert_allclose(found, -nll_BT, atol=1e-5)


def test_a_family_that_keeps_more_than_keys_and_values_is_refused():
    with pytest.raises(ValueError, match="keeps nothing but keys and values"):
        Decoder(verbalizer("lfm-7b"), Words())


def test_a_vector_that_is_not_finite_is_named():
    v_BD = vectors()
    v_BD[2, 3] = torch.nan
    with pytest.raises(ValueError, match="row 2 are not finite"):
        Decoder(verbalizer(), Words())(PROMPT, v_BD, keys(), GREEDY)


def test_a_model_in_training_stays_in_training():
    av = verbalizer().train()
    Decoder(av, Words())(PROMPT, vectors(), keys(), GREEDY)
    assert av.training and av.trunk.model.training
    assert av.trunk.model.config._attn_implementation == "sdpa"
