"""Answers that are drawn together are those of each prompt alone, whoever runs beside it."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from tests.chat_model import save_chat_model
from tests.word_model import save_word_model
from transformers import AutoModelForCausalLM, GenerationConfig, TopPLogitsWarper

from interlingua.models.sampling.chat_model import ChatModel
from interlingua.models.sampling.drawing import draw, uniforms
from interlingua.specs.training import SamplingSpec

torch.set_num_threads(1)

GREEDY = SamplingSpec(seed=0, temperature=0, samples=1, max_new_tokens=12)
SAMPLED = SamplingSpec(seed=3, temperature=0.8, samples=3, max_new_tokens=12)
BEGINNING = [7, 9, 11, 40]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Rotary positions and learned ones."""
    words = tmp_path_factory.mktemp("words")
    save_word_model(words, [f"w{i}" for i in range(60)], num_blocks=2, num_positions=64, scale=3)
    return {"llama": save_chat_model(tmp_path_factory.mktemp("chat"), ends=4), "gpt2": words}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, folders):
    return folders[request.param]


@cache
def opened(folder, batch_rows):
    return ChatModel(
        str(folder), revision=None, dtype="float32", device="cpu", batch_rows=batch_rows
    )


def prompts(count=9):
    """Of unequal lengths; most begin alike, one is the beginning itself."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for place in range(count):
        length = 3 + (place * 5) % 17
        ids = torch.randint(5, 55, (length,), generator=generator).tolist()
        made.append(ids if place == 4 else [*BEGINNING, *ids])
    return [*made, BEGINNING]


def keys(asked):
    return [f"text {place}|-1" for place in range(len(asked))]


def answers(folder, spec, *, batch_rows=4, top_p=1.0, asked=None, **options):
    asked = prompts() if asked is None else asked
    return opened(folder, batch_rows).answers(asked, keys(asked), spec, top_p=top_p, **options)


def texts(found):
    return [[answer.text for answer in row] for row in found]


@cache
def plain(folder):
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def alone(folder, ids, uniforms_T, spec, top_p):
    """One answer without a cache, a forward of the whole text for every token."""
    model = plain(folder)
    ends, drawn = {model.generation_config.eos_token_id}, []
    for number in uniforms_T:
        with torch.no_grad():
            logits_1V = model(torch.tensor([[*ids, *drawn]])).logits[:, -1]
        if top_p < 1:
            logits_1V = TopPLogitsWarper(top_p)(None, logits_1V / spec.temperature)
            logits_1V = logits_1V * spec.temperature
        token, _ = draw(logits_1V, torch.tensor([number]), spec.temperature)
        drawn.append(int(token))
        if drawn[-1] in ends:
            break
    return drawn


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_an_answer_is_what_it_is_alone(folder, top_p):
    asked, tokenizer = prompts(), opened(folder, 1).tokenizer
    found = answers(folder, SAMPLED, top_p=top_p, beginning=BEGINNING)
    uniforms_NT = uniforms(keys(asked), SAMPLED).unflatten(0, (len(asked), SAMPLED.samples))
    lengths = set()
    for place, ids in enumerate(asked):
        for sample, answer in enumerate(found[place]):
            drawn = alone(folder, ids, uniforms_NT[place, sample], SAMPLED, top_p)
            end = tokenizer.eos_token_id
            is_cut_off = drawn[-1] != end
            text = tokenizer.decode([token for token in drawn if token != end])
            assert (answer.text, answer.is_cut_off) == (text, is_cut_off)
            assert answer.num_tokens == len(drawn)
            lengths.add(len(drawn))
    assert len(lengths) > 2 or "words" in folder.name


def test_greedy_answers_are_those_of_transformers(folder):
    model = plain(folder)
    settings = GenerationConfig(max_new_tokens=12, do_sample=False)
    end = opened(folder, 1).tokenizer.eos_token_id
    settings.eos_token_id = settings.pad_token_id = end
    for ids, [answer] in zip(prompts(), answers(folder, GREEDY, beginning=BEGINNING), strict=True):
        out_1T = model.generate(torch.tensor([ids]), generation_config=settings)
        drawn = [token for token in out_1T[0, len(ids) :].tolist() if token != end]
        assert answer.text == opened(folder, 1).tokenizer.decode(drawn)


@pytest.mark.parametrize("batch_rows", [1, 3, 5, 64])
def test_neither_batch_nor_beginning_nor_order_changes_an_answer(folder, batch_rows):
    expected = texts(answers(folder, SAMPLED, beginning=BEGINNING))
    assert texts(answers(folder, SAMPLED, batch_rows=batch_rows)) == expected
    asked = prompts()
    model = opened(folder, batch_rows)
    backwards = model.answers(asked[::-1], keys(asked)[::-1], SAMPLED, top_p=1)
    assert texts(backwards)[::-1] == expected
    some = model.answers(asked[2:5], keys(asked)[2:5], SAMPLED, top_p=1, beginning=BEGINNING)
    assert texts(some) == expected[2:5]


def test_seed_key_and_sample_fix_an_answer(folders):
    folder = folders["llama"]
    expected = texts(answers(folder, SAMPLED))
    fewer = texts(answers(folder, replace(SAMPLED, samples=2)))
    assert fewer == [row[:2] for row in expected]
    assert texts(answers(folder, replace(SAMPLED, seed=4))) != expected
    same = texts(answers(folder, SAMPLED, asked=[prompts()[0]] * 3))
    assert same[0] == expected[0] and len({tuple(row) for row in same}) == 3


def test_of_no_prompt_there_is_no_answer(folders):
    assert answers(folders["llama"], SAMPLED, asked=[]) == []


def test_most_tokens_are_those_of_the_positions(folders):
    assert opened(folders["gpt2"], 1).most_tokens == 64
    assert opened(folders["llama"], 1).most_tokens == 512
