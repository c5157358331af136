"""vLLM's completions with `prompt_embeds`."""

import asyncio
import io
import os
from base64 import b64encode

import numpy as np
import pytest
import torch
from tests.serving.fake import FakeBackend, card
from tests.serving.protocols.served import Writer, client
from tests.serving.protocols.test_sglang import INEXPRESSIBLE

from interlingua.serving.backend import Busy, Limits, Refused

TEXT = Writer.text


def packed(tensor):
    file = io.BytesIO()
    torch.save(tensor, file)
    return b64encode(file.getvalue()).decode()


ROWS = torch.tensor([[1.5, 2, 3, 4], [0, 0, -1, 0]])
EMBEDS = packed(ROWS)
PARTS = [
    {"type": "text", "text": "This is "},
    {"type": "prompt_embeds", "data": packed(ROWS[:1].bfloat16())},
    {"type": "text", "text": " explained."},
]


def complete(backend=None, path="/v1/completions", **body):
    body = {"prompt_embeds": EMBEDS, "max_tokens": 200, **body}
    return client(backend or Writer()).request("POST", path, json=body)


def chat(backend=None, path="/v1/chat/completions", **body):
    body = {"messages": [{"role": "user", "content": PARTS}], **body}
    return client(backend or Writer()).request("POST", path, json=body)


@pytest.mark.parametrize("prefix", ["", "/bundles/toy"])
def test_a_completion(prefix):
    backend = Writer()
    path = f"{prefix}/v1/completions"
    answer = complete(backend, path, model="toy", prompt=None, temperature=0, seed=3)
    found = answer.json()
    assert answer.status == 200 and found["object"] == "text_completion"
    assert found["model"] == "toy" and found["id"].startswith("cmpl-")
    assert isinstance(found["created"], int)
    (choice,) = found["choices"]
    assert choice["text"] == TEXT and choice["finish_reason"] == "stop" and choice["index"] == 0
    usage = {"prompt_tokens": 2, "completion_tokens": len(TEXT), "total_tokens": 2 + len(TEXT)}
    assert found["usage"] == usage
    (((rows_TE,), sampling, as_chat),) = backend.prompts
    assert np.array_equal(rows_TE, ROWS.numpy()) and not as_chat
    assert (sampling.temperature, sampling.max_new_tokens, sampling.seed) == (0, 200, 3)


def test_several_prompts_are_answered_in_their_order():
    backend = Writer()
    answer = complete(backend, prompt_embeds=[EMBEDS, packed(ROWS[1])], max_tokens=3)
    found = answer.json()
    assert [one["index"] for one in found["choices"]] == [0, 1]
    assert all(one["finish_reason"] == "length" for one in found["choices"])
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    assert [len(parts[0]) for parts, _, _ in backend.prompts] == [2, 1]
    answer = complete(prompt_embeds=[EMBEDS, EMBEDS], stream=True)
    assert answer.status == 400 and answer.json()["error"]["param"] == "stream"


def test_texts_and_rows_stay_in_their_order_in_a_chat():
    backend = Writer()
    answer = chat(backend, max_tokens=50)
    found = answer.json()
    assert answer.status == 200 and found["object"] == "chat.completion"
    (choice,) = found["choices"]
    assert choice["message"] == {"role": "assistant", "content": TEXT}
    assert choice["finish_reason"] == "stop"
    (((before, rows_TE, behind), sampling, as_chat),) = backend.prompts
    assert (before, behind, as_chat) == ("This is ", " explained.", True)
    assert rows_TE.tolist() == [[1.5, 2, 3, 4]]
    assert sampling.temperature == 1 and sampling.max_new_tokens == 50


def test_defaults_are_those_of_openai():
    backend = Writer()
    complete(backend, max_tokens=None)
    chat(backend)
    chat(backend, max_completion_tokens=9)
    most = [sampling.max_new_tokens for _, sampling, _ in backend.prompts]
    assert most == [16, card().limits.max_new_tokens, 9]


def test_chunks_of_a_completion_are_what_is_new():
    answer = complete(stream=True, stream_options={"include_usage": True}, stop="farm")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    *chunks, usage = answer.events()
    assert "".join(one["choices"][0]["text"] for one in chunks) == "<explanation>\na "
    assert [one["choices"][0]["finish_reason"] for one in chunks][-1] == "stop"
    assert chunks[-1]["choices"][0]["stop_reason"] == "farm"
    assert usage["choices"] == [] and usage["usage"]["prompt_tokens"] == 2


def test_chunks_of_a_chat_are_what_is_new():
    chunks = chat(stream=True).events()
    assert {one["object"] for one in chunks} == {"chat.completion.chunk"}
    deltas = [one["choices"][0]["delta"] for one in chunks]
    assert deltas[0]["role"] == "assistant" and all("role" not in one for one in deltas[1:])
    assert "".join(one["content"] for one in deltas) == TEXT
    assert [one["choices"][0]["finish_reason"] for one in chunks] == [None] * (len(TEXT) - 1) + [
        "stop"
    ]


def test_a_stop_is_left_out_or_kept():
    found = complete(stop=["farm"]).json()["choices"][0]
    assert found["text"] == "<explanation>\na " and found["stop_reason"] == "farm"
    found = complete(stop=["farm"], include_stop_str_in_output=True).json()["choices"][0]
    assert found["text"] == "<explanation>\na farm"


def test_a_model_is_a_bundle():
    default, other = Writer(), Writer(card=card("other"), text="other")
    asgi = client(default, other=other)
    body = {"prompt_embeds": EMBEDS, "model": "other"}
    found = asgi.request("POST", "/v1/completions", json=body).json()
    assert found["choices"][0]["text"] == "other" and found["model"] == "other"
    assert not default.prompts
    answer = asgi.request("POST", "/v1/completions", json={**body, "model": "nothing"})
    assert answer.status == 404
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("NotFoundError", "model", 404)
    assert "toy, other" in error["message"]
    assert asgi.request("POST", "/bundles/toy/v1/completions", json=body).status == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt_embeds": None, "prompt": "Once upon"}, "prompt_embeds"),
        ({"prompt_embeds": None}, "prompt_embeds"),
        ({"prompt": "Once upon"}, "prompt"),
        ({"prompt_embeds": []}, "prompt_embeds"),
        ({"prompt_embeds": "no base64!"}, "prompt_embeds"),
        ({"prompt_embeds": b64encode(b"no tensor").decode()}, "prompt_embeds"),
        ({"prompt_embeds": packed(ROWS[:, :3])}, "prompt_embeds"),
        ({"prompt_embeds": packed(ROWS.double())}, "prompt_embeds"),
        ({"prompt_embeds": packed(ROWS[None])}, "prompt_embeds"),
        ({"prompt_embeds": packed(ROWS * float("nan"))}, "prompt_embeds"),
        ({"prompt_embeds": packed([ROWS])}, "prompt_embeds"),
        ({"top_p": 0.5}, "top_p"),
        ({"logprobs": 3}, "logprobs"),
        ({"n": 2}, "n"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"seed": -5}, "seed"),
        ({"skip_special_tokens": True}, "skip_special_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**6}, "max_tokens"),
    ],
)  # fmt: skip
def test_completions_refuse_by_name(body, param):
    answer = complete(**body)
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert error["code"] == 400 and error["type"] == "BadRequestError"
    assert param in error["param"] and param in error["message"]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ([], "messages"),
        ([{"role": "user", "content": "explain this"}], "prompt_embeds"),
        ([{"role": "user", "content": PARTS[:1]}], "prompt_embeds"),
        ([{"role": "system", "content": PARTS}], "user"),
        ([{"role": "system", "content": "be brief"}, {"role": "user", "content": PARTS}], "user"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages"),
        ([{"role": "user", "content": [{"type": "prompt_embeds"}, *PARTS]}], "content.0"),
        ([{"role": "user", "content": [*PARTS, {"type": "text", "data": EMBEDS}]}], "content.3"),
        ([{"role": "user", "content": [{**PARTS[1], "source_text": "x"}]}], "source_text"),
        ([{"role": "user", "content": [{"type": "prompt_embeds", "data": "?"}]}], "content.0"),
    ],
)
def test_chats_refuse_by_name(messages, named):
    answer = chat(messages=messages)
    assert answer.status == 400 and named in answer.json()["error"]["message"], answer.body


@pytest.mark.parametrize("option", [{"tools": [{}]}, {"add_generation_prompt": False}])
def test_what_would_change_a_chat_is_refused(option):
    answer = chat(**option)
    assert answer.status == 400 and answer.json()["error"]["param"] == next(iter(option))


def test_what_asks_for_nothing_is_taken():
    answer = chat(user="me", top_p=1, frequency_penalty=0, n=1, stream_options=None, tools=None)
    assert answer.status == 200


@pytest.mark.parametrize("why", INEXPRESSIBLE)
def test_what_a_bundle_cannot_be_asked_with_embeddings(why):
    for ask in (complete, chat):
        answer = ask(Writer(card=INEXPRESSIBLE[why]))
        assert answer.status == 400 and why in answer.json()["error"]["message"]


def test_a_hostile_file_is_a_400_and_nothing_is_called(tmp_path):
    class Call:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'touched'}",)

    answer = complete(prompt_embeds=packed(Call()))
    assert answer.status == 400 and answer.json()["error"]["param"] == "prompt_embeds"
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("field", ["input_embeds", "max_new_tokens", "other"])
def test_a_backend_refuses_by_the_names_of_the_client(field):
    backend = FakeBackend(raises=Refused(field, "it does not fit"))
    names = {"max_new_tokens": ("max_tokens", "max_tokens"), "other": ("other", "other")}
    own = names.get(field, ("prompt_embeds", "messages"))
    for ask, name in zip((complete, chat), own, strict=True):
        error = ask(backend).json()["error"]
        assert (error["param"], error["message"]) == (name, f"{name}: it does not fit")


def test_a_prompt_that_fails_ends_the_others():
    class Odd(Writer):
        async def generate(self, parts, sampling, *, as_chat):
            if len(parts[0]) == 1:
                await asyncio.sleep(0.01)
                raise Busy("full")
            async for piece in super().generate(parts, sampling, as_chat=as_chat):
                yield piece

    backend = Odd(text="on and on" * 10_000, card=card(limits=Limits(max_new_tokens=10**6)))
    body = {"prompt_embeds": [EMBEDS, packed(ROWS[0])], "max_tokens": 90_000}

    async def ask():
        answer = await client(backend).arequest("POST", "/v1/completions", json=body)
        num_pieces = backend.num_pieces
        await asyncio.sleep(0.02)
        assert 0 < backend.num_pieces == num_pieces
        return answer

    assert asyncio.run(ask()).status == 429


def test_a_busy_backend():
    for ask in (complete, chat):
        for stream in (False, True):
            answer = ask(FakeBackend(raises=Busy("full")), stream=stream)
            assert answer.status == 429 and answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["type"] == "RateLimitError"
