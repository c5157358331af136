"""Neuronpedia's NLA server: what its specification asks for, by a table in our words."""

import asyncio
import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.serving.asgi import Asgi
from tests.serving.fake import HOST, OTHER, WIDTH, FakeBackend, card
from tests.serving.protocols.served import LIMITS, Breaking, Endless, Unclosed, Whole, client

from interlingua.serving.backend import Busy, Limits, NotAvailable, Refused, TimedOut
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.routers import every_router

MAYBE = "or null"
TEXT, COUNT, NUMBER, FLAG = ("text",), ("count",), ("number",), ("flag",)
TOKEN = {
    "token": TEXT,
    "token_id": COUNT,
    "position": COUNT,
    "fragment_index": COUNT,
    "fragment_count": COUNT,
    "role": (*TEXT, MAYBE),
    "section": (*TEXT, MAYBE),
    "channel": (*TEXT, MAYBE),
    "message_index": (*COUNT, MAYBE),
}
DESCRIBED = {"description": TEXT, "mse": (*NUMBER, MAYBE), "cosine_similarity": (*NUMBER, MAYBE)}
EXPLAINED = {**TOKEN, **DESCRIBED, "l2_norm": NUMBER, "generated": FLAG}
TOKENIZED = {"tokens": [TOKEN], "prompt_length": COUNT, "text": TEXT}
EXTRACTED = {
    "layer_index": COUNT,
    "tokens": [
        {
            "token": TEXT,
            "token_id": COUNT,
            "position": COUNT,
            "activation": [NUMBER],
            "l2_norm": NUMBER,
        }
    ],
}
HEALTH = {
    "status": TEXT,
    "verbalizer_model": TEXT,
    "reconstructor_available": FLAG,
    "completion_available": FLAG,
    **dict.fromkeys(
        (
            "num_cuda_devices",
            "max_concurrent",
            "max_concurrent_explains",
            "source_max_concurrent",
            "reconstructor_max_concurrent",
            "max_describe_requests",
        ),
        COUNT,
    ),
    **dict.fromkeys(
        ("d_model", "extraction_layer", "verbalizer_cuda_graph_max_bs"), (*COUNT, MAYBE)
    ),
    **dict.fromkeys(
        (
            "verbalizer_torch_compile",
            "source_truncated",
            "source_fp8",
            "reconstructor_fp8",
            "reconstructor_int4",
        ),
        (*FLAG, MAYBE),
    ),
    **dict.fromkeys(
        (
            "verbalizer_quantization",
            "verbalizer_kv_cache_dtype",
            "verbalizer_device",
            "reconstructor_device",
            "source_model",
            "source_device",
        ),
        (*TEXT, MAYBE),
    ),
    "limits": dict.fromkeys(
        (
            "max_input_chars",
            "max_positions_per_request",
            "max_new_tokens",
            "max_describe_batch",
            "max_description_chars",
            "max_completion_tokens",
        ),
        COUNT,
    ),
}
H_D = [0.0, 0.0, 3.0, 0.0]
ANSWERS: list[tuple[str, dict[str, Any], Any]] = [
    ("/tokenize", {"text": "a b c"}, TOKENIZED),
    ("/tokenize", {"messages": [{"role": "user", "content": "a b"}]}, TOKENIZED),
    ("/extract", {"text": "a b c"}, EXTRACTED),
    ("/explain", {"text": "a b c"}, {"layer_index": COUNT, "results": [EXPLAINED]}),
    ("/describe", {"activations": [H_D, H_D]}, {"results": [DESCRIBED]}),
    (
        "/score",
        {"description": "place 2", "activation": H_D},
        {"mse": NUMBER, "cosine_similarity": NUMBER},
    ),
    (
        "/compare",
        {"activation_a": H_D, "activation_b": [1, 1, 1, 1]},
        {**DESCRIBED, "diff_norm": NUMBER},
    ),
    ("/completion", {"text": "a b c"}, TOKENIZED),
]


def misfits(value: Any, expected: Any, place: str = "answer") -> list[str]:
    """Where a value of JSON is not as a table has it: no key more, none less."""
    match expected:
        case dict():
            if not isinstance(value, dict) or value.keys() != expected.keys():
                return [f"{place}: {value}"]
            return [
                line
                for key in expected
                for line in misfits(value[key], expected[key], f"{place}.{key}")
            ]
        case list():
            (inner,) = expected
            if not isinstance(value, list) or not value:
                return [f"{place}: {value}"]
            return [line for one in value for line in misfits(one, inner, f"{place}[]")]
    if value is None:
        return [] if MAYBE in expected else [f"{place} is null"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "text": isinstance(value, str),
        "count": is_number and isinstance(value, int),
        "number": is_number and math.isfinite(value),
        "flag": isinstance(value, bool),
    }
    return [] if fits[expected[0]] else [f"{place}: {value!r} is no {expected[0]}"]


def test_the_table_finds_what_is_wrong() -> None:
    assert misfits({"a": 1, "b": [{"c": None}]}, {"a": COUNT, "b": [{"c": (*TEXT, MAYBE)}]}) == []
    for wrong in (
        {"a": True, "b": [{"c": ""}]},
        {"a": 1.5, "b": [{"c": ""}]},
        {"a": 1, "b": []},
        {"a": 1, "b": [{}]},
        {"a": 1},
        {"a": None, "b": [{"c": ""}]},
        {"a": 1, "b": [{"c": 1}]},
        {"a": 1, "b": [{"c": "", "d": 1}]},
    ):
        assert misfits(wrong, {"a": COUNT, "b": [{"c": (*TEXT, MAYBE)}]}), wrong


@pytest.mark.parametrize("prefix", ["", "/bundles/toy"])
@pytest.mark.parametrize(("path", "body", "expected"), ANSWERS)
def test_answers_have_the_keys_and_types_of_the_specification(prefix, path, body, expected) -> None:
    answer = client(Whole()).request("POST", prefix + path, json=body)
    assert answer.status == 200, answer.body
    assert misfits(answer.json(), expected) == []


def test_status() -> None:
    asgi = client()
    found = asgi.request("GET", "/").json()
    assert misfits(found, HEALTH) == []
    assert found["d_model"] == WIDTH and found["source_model"] == HOST
    assert found["extraction_layer"] == 1 and found["source_truncated"] is True
    assert found["completion_available"] is False
    assert found["limits"]["max_describe_batch"] == LIMITS.max_rows
    assert found["limits"]["max_positions_per_request"] == LIMITS.max_positions
    other = asgi.request("GET", f"/?host={OTHER}").json()
    assert other["source_model"] is None and other["completion_available"] is False
    assert client(Whole()).request("GET", "/").json()["completion_available"] is True


def test_status_has_the_devices_of_the_parts_where_they_are_known() -> None:
    devices = {"hosts": "cpu", "av": "cuda:0", "ar": "cuda:1"}
    asgi = client(FakeBackend(card=replace(card(), devices=devices)))
    names = ("source_device", "verbalizer_device", "reconstructor_device")
    found = asgi.request("GET", "/").json()
    assert misfits(found, HEALTH) == [] and [found[name] for name in names] == [*devices.values()]
    away = asgi.request("GET", f"/?host={OTHER}").json()
    assert [away[name] for name in names] == [None, "cuda:0", "cuda:1"]
    unknown = client().request("GET", "/").json()
    assert [unknown[name] for name in names] == [None] * 3


def test_a_browser_is_sent_to_the_pages() -> None:
    accept = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/", "/bundles/toy/"):
        answer = client().request("GET", path, headers=accept)
        assert answer.status == 307 and answer.headers["location"] == "/explorer/"
        assert client().request("GET", path, headers={"accept": "*/*"}).status == 200


def test_scores_are_of_directions() -> None:
    asgi = client()
    for activation, cos in (([0, 0, 5e5, 0], 1.0), ([0, 0, -2, 0], -1.0), ([1, 0, 0, 0], 0.0)):
        found = asgi.request(
            "POST", "/score", json={"description": "place 2", "activation": activation}
        ).json()
        assert found == pytest.approx({"mse": 2 * (1 - cos), "cosine_similarity": cos})


def test_a_difference_is_the_first_less_the_second_at_their_own_lengths() -> None:
    """Vectors of very different lengths: made ready for the AV, each would be of length one."""
    backend = FakeBackend()
    body = {"activation_a": [1, 0, 0, 0], "activation_b": [0, 0, -1000, 0]}
    found = client(backend).request("POST", "/compare", json=body).json()
    assert found["diff_norm"] == pytest.approx(math.hypot(1, 1000))
    assert found["description"] == "place 2 sample 0"
    # The fake AR makes place 0 of it.
    assert found["cosine_similarity"] == pytest.approx(1 / math.hypot(1, 1000))
    (host, h_1D, sampling) = backend.asked[0]
    assert host == HOST and sampling.n == 1
    np.testing.assert_allclose(h_1D[0] / h_1D[0, 2], [0.001, 0, 1, 0])


def test_a_batch_is_described_by_one_call_in_its_order() -> None:
    backend = FakeBackend()
    activations = np.eye(4)[[3, 0, 1]].tolist()
    body = {"activations": activations, "temperature": 0, "max_new_tokens": 7, "host": OTHER}
    found = client(backend).request("POST", "/describe", json=body).json()["results"]
    assert [one["description"] for one in found] == [f"place {n} sample 0" for n in (3, 0, 1)]
    ((host, h_ND, sampling),) = backend.asked
    assert host == OTHER and len(h_ND) == 3
    assert (sampling.temperature, sampling.max_new_tokens, sampling.seed) == (0, 7, 0)


def test_without_a_seed_every_request_draws_its_own() -> None:
    backend = FakeBackend()
    asgi = client(backend)
    for body in ({}, {}, {"seed": 5}, {"seed": 5}):
        asgi.request("POST", "/describe", json={"activations": [H_D], **body})
    seeds = [sampling.seed for _, _, sampling in backend.asked]
    assert seeds[0] != seeds[1] and seeds[2:] == [5, 5]
    assert {sampling.temperature for _, _, sampling in backend.asked} == {0.7}
    assert {sampling.max_new_tokens for _, _, sampling in backend.asked} == {200}


def test_a_default_is_never_above_a_limit() -> None:
    backend = FakeBackend(card=card(limits=Limits(max_new_tokens=20)))
    asgi = client(backend)
    assert asgi.request("POST", "/explain", json={"text": "a"}).status == 200
    body = {"text": "a", "positions": [0], "temperature": 1e-9}
    assert asgi.request("POST", "/api/nla/explain", json=body).status == 200
    samplings = [sampling for _, _, sampling in backend.asked]
    assert [one.max_new_tokens for one in samplings] == [20, 20]
    assert samplings[1].temperature == 0
    answer = asgi.request("POST", "/explain", json={"text": "a", "max_new_tokens": 200})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("asked", "places"),
    [
        ({}, [3, 2, 1, 0]),
        ({"positions": None}, [3, 2, 1, 0]),
        ({"positions": []}, [3, 2, 1, 0]),
        ({"positions": [], "reverse": False}, [0, 1, 2, 3]),
        ({"positions": [0, -1]}, [3, 0]),
        ({"positions": [0, -1], "reverse": False}, [0, 3]),
        ({"positions": [2, 2], "reverse": False}, [2, 2]),
    ],
)
def test_positions_are_explained_in_their_order(asked, places) -> None:
    backend = FakeBackend()
    found = client(backend).request("POST", "/explain", json={"text": "w x y z", **asked}).json()
    ((_, h_ND, _),) = backend.asked
    assert h_ND[:, 0].tolist() == places and h_ND.flags.c_contiguous  # as torch takes it
    assert [one["position"] for one in found["results"]] == places
    assert [one["token"] for one in found["results"]] == ["wxyz"[place] for place in places]
    norms = [math.sqrt(place**2 + 3) for place in places]
    assert [one["l2_norm"] for one in found["results"]] == pytest.approx(norms)


def test_tags_that_are_not_closed_or_missing() -> None:
    texts = ["<explanation> place 2", "place 1 without tags ", "<explanation>\n", ""]
    backend = Unclosed(texts=texts)
    body = {"activations": [[0, 0, 1, 0]] * 4}
    found = client(backend).request("POST", "/describe", json=body).json()["results"]
    assert [one["description"] for one in found] == ["place 2", "place 1 without tags", "", ""]
    assert [one["mse"] for one in found] == [pytest.approx(0), pytest.approx(2), None, None]
    assert sum(map(len, backend.reconstructed)) == 2


def test_every_text_is_scored_against_its_own_vector() -> None:
    backend = Unclosed(texts=["place 3", "place 0", "place 1", "place 1"])
    body = {"activations": np.eye(4)[[3, 0, 1, 2]].tolist()}
    found = client(backend).request("POST", "/describe", json=body).json()["results"]
    assert [one["mse"] for one in found] == pytest.approx([0, 0, 0, 2])
    assert [one["cosine_similarity"] for one in found] == pytest.approx([1, 1, 1, 0])


def test_what_ends_while_others_are_scored_is_scored_together() -> None:
    backend = Unclosed(texts=["<explanation> place 1"] * 5)
    client(backend).request("POST", "/describe", json={"activations": [H_D] * 5})
    assert [len(texts) for texts in backend.reconstructed] == [1, 4]


def test_a_text_that_the_ar_refuses_has_no_score_and_others_have_theirs() -> None:
    class Strict(Unclosed):
        async def reconstruct(self, texts, host):
            if any(len(text) > 20 for text in texts):
                raise Refused("texts", "text 0 is longer than the AR reads")
            return await super().reconstruct(texts, host)

    backend = Strict(texts=["place 2", "place 2", "place 2 and so on and on", "place 2"])
    asgi = client(backend)
    found = asgi.request("POST", "/describe", json={"activations": [H_D] * 4}).json()["results"]
    assert [one["mse"] is None for one in found] == [False, False, True, False]
    answer = asgi.request("POST", "/score", json={"description": "place" * 5, "activation": H_D})
    assert answer.status == 400 and answer.json()["detail"].startswith("description: ")


def test_a_completion_is_tokens_behind_the_prompt() -> None:
    backend = Whole()
    asgi = client(backend)
    body = {"text": "a b", "completion_tokens": 100_000}
    found = asgi.request("POST", "/completion", json=body).json()
    assert found["text"] == "a b and on it goes" and found["prompt_length"] == 2
    assert [one["position"] for one in found["tokens"]] == list(range(6))
    assert backend.asked[0][2].max_new_tokens == Limits().max_completion_tokens
    body["completion_tokens"] = 1
    assert asgi.request("POST", "/completion", json=body).json()["text"] == "a b and"
    assert client().request("POST", "/completion", json=body).status == 503


RAISED = {
    Busy("4 wait already"): (429, "4 wait already"),
    Busy(): (429, "the queue is full"),
    NotAvailable("the host is not here"): (503, "the host is not here"),
    TimedOut(): (408, "the request took longer than it may"),
    Refused("text", "text is odd"): (400, "text is odd"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_what_a_backend_raises_is_a_status_also_of_a_stream(error, stream) -> None:
    asgi = client(FakeBackend(raises=error))
    for path, body in (("/explain", {"text": "a"}), ("/describe", {"activations": [H_D]})):
        answer = asgi.request("POST", path, json={**body, "stream": stream})
        status, message = RAISED[error]
        assert answer.status == status and answer.json() == {"detail": message}
        assert ("retry-after" in answer.headers) == (status == 429)


def test_behind_the_first_frame_an_error_is_the_last_one() -> None:
    backend = Breaking(error=Busy("the AR is busy"))
    body = {"activations": [H_D], "stream": True}
    answer = client(backend).request("POST", "/describe", json=body)
    assert answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.events() == [
        {"index": 0, "text": "<expl", "done": False},
        {"detail": "the AR is busy"},
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("/tokenize", {}, 400, "text"),
        ("/tokenize", {"text": "", "messages": []}, 400, "text"),
        ("/tokenize", {"text": "a", "host": "nobody"}, 400, "host"),
        ("/tokenize?host=toy-b", {"text": "a", "host": "toy-a"}, 400, "host"),
        ("/tokenize", {"text": "x" * 70_000}, 400, "text"),
        ("/tokenize", {"messages": [{"role": "user", "content": "x" * 70_000}]}, 400, "messages"),
        ("/tokenize", {"messages": [{"content": "x"}]}, 422, "role"),
        ("/explain", {"text": "a b", "positions": [2]}, 400, "position"),
        ("/explain", {"text": "a b", "positions": [-3]}, 400, "position"),
        ("/explain", {"text": "a b", "positions": [10**30]}, 400, "position"),
        ("/explain", {"text": "a b", "positions": [0] * 7}, 400, "positions"),
        ("/explain", {"text": "a b c d e f g"}, 400, "text"),
        ("/explain", {"text": "a", "positions": [0.5]}, 422, "positions"),
        ("/extract", {"text": "a b c d e f g"}, 400, "text"),
        ("/explain", {"text": "a", "max_new_tokens": 301}, 400, "max_new_tokens"),
        ("/explain", {"text": "a", "max_new_tokens": 0}, 422, "max_new_tokens"),
        ("/explain", {"text": "a", "temperature": 5.5}, 422, "temperature"),
        ("/describe", {"activations": []}, 400, "activations"),
        ("/describe", {"activations": [H_D] * 6}, 400, "activations"),
        ("/describe", {"activations": [[1, 2]]}, 400, "activations"),
        ("/describe", {"activations": [H_D, [0, 0, 0, 0]]}, 400, "activations"),
        ("/describe", {"activations": [["1", "2", "3", "4"]]}, 400, "activations"),
        ("/describe", {}, 422, "activations"),
        ("/score", {"description": "x" * 51, "activation": H_D}, 400, "description"),
        ("/score", {"description": "x", "activation": [0, 0, 0, 0]}, 400, "activation"),
        ("/compare", {"activation_a": H_D, "activation_b": H_D}, 400, "activation_b"),
        ("/compare", {"activation_a": H_D, "activation_b": [1]}, 400, "activation_b"),
        ("/completion", {"text": "a", "completion_tokens": 0}, 422, "completion_tokens"),
    ],
)
def test_what_cannot_be_answered_names_its_field(path, body, status, named) -> None:
    answer = client().request("POST", path, json=body)
    assert answer.status == status, answer.body
    detail = answer.json()["detail"]
    if status == 422:
        ((_, field),) = [one["loc"] for one in detail]
        assert named in field and detail[0].keys() == {"loc", "msg", "type"}
    else:
        assert named in detail


def test_an_unknown_bundle_is_not_found_and_the_known_are_named() -> None:
    asgi = client(FakeBackend(), other=FakeBackend(card=card("other")))
    answer = asgi.request("POST", "/bundles/nothing/tokenize", json={"text": "a"})
    assert answer.status == 404
    assert answer.json() == {"detail": "bundle is 'nothing'; here are: toy, other"}
    assert asgi.request("GET", "/bundles/other/").json()["verbalizer_model"] == "other"


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_drawn_for_a_client_that_has_gone(stream) -> None:
    backend = Endless()
    asgi, begun = client(backend), time.monotonic()
    body = {"activations": [H_D], "stream": stream}
    asking = asgi.arequest(
        "POST", "/describe", json=body, leave_if=lambda _: time.monotonic() > begun + 0.05
    )
    asyncio.run(asyncio.wait_for(asking, 5))
    assert backend.cancelled == 1


@pytest.mark.parametrize("prefix", ["", "/bundles/toy"])
def test_who_may_not_ask_and_what_is_too_large_is_answered_in_this_shape(prefix) -> None:
    """Also before a route was asked: its clients read `detail`."""
    small = FakeBackend(card=card(limits=Limits(max_body_bytes=100)))
    asgi = Asgi(make_app({"toy": small}, Settings(token="secret"), every_router()))
    body, right = {"text": "a" * 200}, {"x-secret-key": "secret"}
    for headers, status in (({}, 401), ({"x-secret-key": "x"}, 403), (right, 413)):
        answer = asgi.request("POST", f"{prefix}/tokenize", json=body, headers=headers)
        assert answer.status == status and answer.json().keys() == {"detail"}
        assert isinstance(answer.json()["detail"], str)
        own = asgi.request("POST", "/v1/verbalize", json=body, headers=headers)
        nowhere = asgi.request("POST", "/nowhere", json=body, headers=headers)
        assert own.json().keys() == nowhere.json().keys() == {"error"}
    assert "www-authenticate" in asgi.request("POST", f"{prefix}/tokenize", json=body).headers
