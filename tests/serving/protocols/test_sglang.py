"""SGLang's `/generate` with rows of embeddings, as the public release's client sends them."""

from base64 import b64encode
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.serving.fake import FakeBackend, card
from tests.serving.protocols.served import Writer, client

from interlingua.serving.backend import Busy, NotAvailable, TimedOut

ROWS = [[1, 2, 3, 4.5], [0, 0, 0, 0], [-1, 0.1, 1e-20, 3e38]]
TEXT = Writer.text


def ask(backend=None, path="/generate", **body):
    return client(backend or Writer()).request("POST", path, json={"input_embeds": ROWS, **body})


class PublicClient:
    """The prompt is embedded by the client, and the row of the marker replaced by the vector."""

    def __init__(self, asgi, embeddings, ids, marker, scale):
        self.asgi, self.scale = asgi, scale
        self.rows = [list(embeddings[one]) for one in ids]
        self.place = ids.index(marker)

    def text(self, vector, **overrides):
        length = sum(x * x for x in vector) ** 0.5
        rows = [*self.rows]
        rows[self.place] = [x * self.scale / length for x in vector]
        params = {"temperature": 1.0, "max_new_tokens": 200, "skip_special_tokens": False}
        body = {"input_embeds": rows, "sampling_params": {**params, **overrides}}
        found = self.asgi.request("POST", "/generate", json=body).json()
        return (found[0] if isinstance(found, list) else found)["text"]


def test_the_public_client_gets_its_text():
    backend = Writer()
    embeddings = np.eye(4).tolist()
    public = PublicClient(client(backend), embeddings, [0, 3, 1], marker=3, scale=10)
    assert public.text([0, 3, 4, 0], temperature=0) == TEXT
    (((rows_TE,), sampling, as_chat),) = backend.prompts
    np.testing.assert_allclose(rows_TE, [[1, 0, 0, 0], [0, 6, 8, 0], [0, 1, 0, 0]], rtol=1e-6)
    assert rows_TE.dtype == np.float32 and not as_chat
    assert (sampling.temperature, sampling.max_new_tokens, sampling.n) == (0, 200, 1)


@pytest.mark.parametrize("path", ["/generate", "/bundles/toy/generate"])
def test_an_answer(path):
    found = ask(path=path).json()
    assert found.keys() == {"text", "meta_info"} and found["text"] == TEXT
    meta = found["meta_info"]
    assert meta["finish_reason"] == {"type": "stop", "matched": "</explanation>"}
    assert meta["prompt_tokens"] == 3 and meta["completion_tokens"] == len(TEXT)
    assert meta.keys() >= {"id", "cached_tokens", "e2e_latency"}


def test_a_list_of_one_prompt_is_answered_by_a_list_of_one():
    backend = Writer()
    (found,) = ask(backend, input_embeds=[ROWS]).json()
    assert found["text"] == TEXT and backend.prompts[0][0][0].shape == (3, 4)
    answer = ask(input_embeds=[ROWS, ROWS])
    assert answer.status == 400 and "input_embeds" in answer.json()["error"]["message"]


def test_bf16_in_base64_holds_the_numbers_of_torch():
    backend = Writer()
    tensor = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    packed = b64encode(tensor.view(torch.int16).numpy().tobytes()).decode()
    body = {"input_embeds_b64_bf16": packed, "input_embeds_shape": [5, 4]}
    asgi = client(backend)
    assert asgi.request("POST", "/generate", json=body).json()["text"] == TEXT
    assert np.array_equal(backend.prompts[0][0][0], tensor.float().numpy())
    for wrong in ([4, 4], [20], [-5, -4], [5, 0], None):
        answer = asgi.request("POST", "/generate", json={**body, "input_embeds_shape": wrong})
        assert answer.status == 400 and answer.json()["error"]["param"].startswith("input_embeds")


def test_defaults_are_those_of_sglang():
    backend = Writer()
    ask(backend)
    ask(backend, sampling_params={"sampling_seed": 4, "temperature": None, "n": 1, "top_p": 1.0})
    (_, first, _), (_, second, _) = backend.prompts
    assert (first.temperature, first.max_new_tokens) == (1, 128)
    assert second.seed == 4 and second.temperature == 1 and first.seed != second.seed


def test_a_text_that_was_cut():
    found = ask(sampling_params={"max_new_tokens": 5}).json()
    assert found["text"] == TEXT[:5]
    assert found["meta_info"]["finish_reason"] == {"type": "length", "length": 5}
    assert found["meta_info"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("params", "text", "matched"),
    [
        ({"stop": "farm"}, "<explanation>\na ", "farm"),
        ({"stop": ["zzz", "farm", "arm"]}, "<explanation>\na ", "farm"),
        ({"stop": ["</explanation>"]}, "<explanation>\na farm\n", "</explanation>"),
        ({"stop": "farm", "no_stop_trim": True}, "<explanation>\na farm", "farm"),
        ({"stop": "zzz"}, TEXT, "</explanation>"),
        ({"stop": []}, TEXT, "</explanation>"),
    ],
)
def test_stops_end_the_text_and_the_drawing(params, text, matched):
    backend = Writer()
    found = ask(backend, sampling_params=params).json()
    assert found["text"] == text
    assert found["meta_info"]["finish_reason"] == {"type": "stop", "matched": matched}
    end = TEXT.index(matched) + len(matched) if matched in TEXT else len(TEXT)
    assert backend.num_pieces == end
    assert backend.cancelled or end == len(TEXT)


def test_frames_hold_all_of_the_text_so_far():
    answer = ask(stream=True, sampling_params={"stop": "farm"})
    assert answer.body.endswith(b"data: [DONE]\n\n")
    frames = answer.events()
    texts = [one["text"] for one in frames]
    assert all(later.startswith(text) for text, later in zip(texts, texts[1:], strict=False))
    assert texts[-1] == "<explanation>\na " and not any("f" in text for text in texts)
    reasons = [one["meta_info"]["finish_reason"] for one in frames]
    assert reasons[-1]["type"] == "stop" and set(map(str, reasons[:-1])) == {"None"}


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"top_p": 0.9}, "sampling_params.top_p"),
        ({"top_k": 5}, "sampling_params.top_k"),
        ({"repetition_penalty": 1.1}, "sampling_params.repetition_penalty"),
        ({"regex": "a*"}, "sampling_params.regex"),
        ({"n": 2}, "sampling_params.n"),
        ({"ignore_eos": True}, "sampling_params.ignore_eos"),
        ({"stop_token_ids": [3]}, "sampling_params.stop_token_ids"),
        ({"some_new_option": 1}, "sampling_params.some_new_option"),
        ({"skip_special_tokens": True}, "skip_special_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": 3}, "sampling_params.stop"),
        ({"stop": ["x"] * 33}, "stop"),
        ({"stop": "x" * 1_000_000}, "stop"),
        ({"temperature": -1}, "sampling_params.temperature"),
        ({"max_new_tokens": 0}, "sampling_params.max_new_tokens"),
        ({"max_new_tokens": 10**9}, "max_new_tokens"),
        ({"sampling_seed": -1}, "sampling_params.sampling_seed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_would_change_the_text_is_refused_by_its_name(params, named, stream):
    answer = ask(sampling_params=params, stream=stream)
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert named in error["message"] and error["param"] is not None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"input_embeds": None}, "input_embeds"),
        ({"input_embeds": None, "text": "a prompt"}, "input_embeds"),
        ({"text": "a prompt"}, "text"),
        ({"input_ids": [1, 2]}, "input_ids"),
        ({"return_logprob": True}, "return_logprob"),
        ({"lora_path": "x"}, "lora_path"),
        ({"input_embeds_b64_bf16": "", "input_embeds_shape": [1, 4]}, "input_embeds_b64_bf16"),
        ({"input_embeds": []}, "input_embeds"),
        ({"input_embeds": [[]]}, "input_embeds"),
        ({"input_embeds": [[], []]}, "input_embeds"),
        ({"input_embeds": [1, 2, 3, 4]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, 4], [1]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, "4"]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, None]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, 1e39]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, 10**400]]}, "input_embeds"),
        ({"input_embeds": [[1, 2, 3, float("nan")]]}, "input_embeds"),
        ({"input_embeds": "1 2 3 4"}, "input_embeds"),
        ({"input_embeds": [[0, 0, 0, 0]] * 70_000}, "input_embeds"),
    ],
)
def test_what_is_no_prompt_of_rows_is_refused(body, named):
    answer = ask(**body)
    assert answer.status == 400 and named in answer.json()["error"]["message"], answer.body


INEXPRESSIBLE = {
    "behind a block": replace(card(), rule="after_block"),
    "16 slots": replace(card(), num_slots=16),
    "maps of their own": replace(card(), has_affine=True),
    "mean": replace(card(), is_centred=True),
}


@pytest.mark.parametrize("why", INEXPRESSIBLE)
def test_what_a_bundle_cannot_be_asked_with_embeddings_is_a_400_that_says_why(why):
    backend = Writer(card=INEXPRESSIBLE[why])
    answer = ask(backend)
    assert answer.status == 400 and not backend.prompts
    message = answer.json()["error"]["message"]
    assert why in message and "/v1/verbalize" in message


def test_errors_of_a_backend():
    for error, status in ((Busy("full"), 429), (NotAvailable("no"), 503), (TimedOut("late"), 408)):
        for stream in (False, True):
            answer = ask(FakeBackend(raises=error), stream=stream)
            assert answer.status == status
            assert answer.json() == {"error": {"message": str(error), "param": None}}
    assert ask(path="/bundles/nothing/generate").status == 404
