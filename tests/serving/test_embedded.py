"""A client that knows the public sidecar alone writes a vector into the prompt, and is read."""

import asyncio
import base64
import io

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file
from tests.serving.asgi import Asgi
from tests.serving.conftest import run
from transformers import PreTrainedTokenizerFast

from interlingua.models.bundle.nla import NLA
from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Limits, Refused
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.routers import every_router

pytestmark = pytest.mark.slow

TEXTS = ["dear friend, there was rain.", "report from Velsk. the guard moored the ship."]
GREEDY = Sampling(max_new_tokens=16)


@pytest.fixture(scope="module")
def plain(plain_bundle):
    backend = opened_backend(plain_bundle, limits=Limits())
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def plain_nla(plain_bundle):
    return NLA.load(plain_bundle)


def embedded(bundle, h_D):
    """The prompt's rows of embeddings, made of the sidecar and the trunk's files alone."""
    sidecar = yaml.safe_load((bundle / "av/nla_meta.yaml").read_text())
    tokens = sidecar["tokens"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bundle / "tokenizer")
    content = sidecar["prompt_templates"]["av"].format(injection_char=tokens["injection_char"])
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer.encode(text, add_special_tokens=False)
    (trunk,) = (bundle.parent.parent / "host").glob("toy-qwen3-1p7b-*")
    rows_TE = load_file(trunk / "model.safetensors")["model.embed_tokens.weight"][ids]
    (place,) = (n for n, token in enumerate(ids) if token == tokens["injection_token_id"])
    assert ids[place - 1] == tokens["injection_left_neighbor_id"]
    scale = sidecar["extraction"]["injection_scale"]
    rows_TE[place] = h_D * scale / np.linalg.norm(h_D)
    return rows_TE, content, place


async def generated(backend, parts, *, as_chat):
    pieces = backend.generate(parts, GREEDY, as_chat=as_chat)
    (done,) = [piece.done async for piece in pieces if piece.done is not None]
    return done


def test_the_whole_prompt_as_embeddings_gives_the_text_of_verbalize(plain, plain_nla, plain_bundle):
    anchor = plain_nla.manifest.anchor
    h_ND = plain_nla.read(TEXTS, anchor).h_ND * np.array([[1], [-1]])
    expected = [row[0] for row in plain_nla.verbalize(h_ND, anchor, max_new_tokens=16)]
    # An AV of a few steps says the same of both, but not with the same probability.
    assert abs(expected[0].log_prob - expected[1].log_prob) > 2e-3

    async def ask():
        return await asyncio.gather(
            *(generated(plain, [embedded(plain_bundle, h_D)[0]], as_chat=False) for h_D in h_ND)
        )

    for found, one in zip(run(ask()), expected, strict=True):
        assert found.raw_text == one.raw_text
        assert found.log_prob == pytest.approx(one.log_prob, abs=1e-4)


def test_one_row_between_texts_is_put_into_the_trunks_template(plain, plain_nla, plain_bundle):
    anchor = plain_nla.manifest.anchor
    [h_D] = plain_nla.read(TEXTS[:1], anchor).h_ND
    [[expected]] = plain_nla.verbalize(h_D, anchor, max_new_tokens=16)
    rows_TE, content, place = embedded(plain_bundle, h_D)
    marker = plain_nla.contract.tokens.marker
    before, after = content.split(marker)
    parts = [before, rows_TE[place : place + 1], after]
    assert run(generated(plain, parts, as_chat=True)).log_prob == pytest.approx(
        expected.log_prob, abs=1e-4
    )


@pytest.mark.parametrize("transport", ["list", "bf16"])
def test_sglangs_client_gets_the_text_of_verbalize(transport, plain, plain_nla, plain_bundle):
    """As the public release sends it: the whole prompt, embedded by the client."""
    anchor = plain_nla.manifest.anchor
    asgi = Asgi(make_app({"plain": plain}, Settings(), every_router()))
    [h_D] = plain_nla.read(TEXTS[:1], anchor).h_ND
    rows_TE, _, _ = embedded(plain_bundle, h_D)
    embeds = {"input_embeds": rows_TE.tolist()}
    if transport == "bf16":
        halves = torch.from_numpy(rows_TE).bfloat16().view(torch.int16).numpy()
        embeds = {
            "input_embeds_b64_bf16": base64.b64encode(halves.tobytes()).decode(),
            "input_embeds_shape": list(rows_TE.shape),
        }
    sampling = {"temperature": 0.0, "max_new_tokens": 16, "skip_special_tokens": False}
    answer = asgi.request("POST", "/generate", json={**embeds, "sampling_params": sampling})
    own = asgi.request(
        "POST", "/v1/verbalize",
        json={"host": anchor, "activations": [h_D.tolist()], "max_new_tokens": 16},
    )  # fmt: skip
    assert (answer.status, own.status) == (200, 200), answer.body + own.body
    (row,) = own.json()["data"]
    assert answer.json()["text"] == row["explanations"][0]["raw_text"]
    assert answer.json()["meta_info"]["completion_tokens"] == 16


def test_vllms_client_gets_it_too(plain, plain_nla, plain_bundle):
    anchor = plain_nla.manifest.anchor
    asgi = Asgi(make_app({"plain": plain}, Settings(), every_router()))
    [h_D] = plain_nla.read(TEXTS[:1], anchor).h_ND
    [[expected]] = plain_nla.verbalize(h_D, anchor, max_new_tokens=16)
    rows_TE, content, place = embedded(plain_bundle, h_D)
    before, after = content.split(plain_nla.contract.tokens.marker)
    whole = {"prompt": None, "prompt_embeds": packed(rows_TE)}
    parts = [
        {"type": "text", "text": before},
        {"type": "prompt_embeds", "data": packed(rows_TE[place : place + 1])},
        {"type": "text", "text": after},
    ]
    chat = {"messages": [{"role": "user", "content": parts}]}
    common = {"max_tokens": 16, "temperature": 0}
    for path, body in (("/v1/completions", whole), ("/v1/chat/completions", chat)):
        answer = asgi.request("POST", path, json={**common, **body})
        assert answer.status == 200, answer.body
        (choice,) = answer.json()["choices"]
        text = choice["text"] if "text" in choice else choice["message"]["content"]
        assert text == expected.raw_text


def packed(rows_TE):
    file = io.BytesIO()
    torch.save(torch.from_numpy(np.ascontiguousarray(rows_TE)), file)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([np.zeros((2, 31), np.float32)], r"shape \(2, 31\); .* width 32"),
        (["a", np.zeros((0, 32), np.float32), "\u320e"], "holds the marker"),
        ([np.zeros((0, 32), np.float32)], "0 embeddings became 0 tokens of a prompt of 0"),
    ],
)
def test_what_is_no_prompt_is_refused(plain, plain_nla, parts, said):
    marker = plain_nla.contract.tokens.marker
    parts = [part.replace("\u320e", marker) if isinstance(part, str) else part for part in parts]
    with pytest.raises(Refused, match=said):
        run(generated(plain, parts, as_chat=False))


def test_slots_and_means_cannot_be_expressed_and_it_says_why(backend):
    with pytest.raises(Refused, match="go through 4 slots with maps of their own"):
        run(generated(backend, [np.ones((3, 32), np.float32)], as_chat=False))
