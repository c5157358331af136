"""Neuronpedia's public API, as a notebook calls it."""

import pytest
from tests.serving.fake import HOST, OTHER, FakeBackend, card
from tests.serving.protocols.served import Whole, client

from interlingua.serving.backend import Busy, NotAvailable

SOURCE = {
    *("modelId", "id", "displayName", "description", "url", "author", "av", "ar", "layerNum"),
    *("norm", "createdAt", "model"),
}
CHAT = [{"role": "user", "content": "b c"}]


def test_sources_are_hosts_of_bundles():
    asgi = client(FakeBackend(), other=FakeBackend(card=card("other")))
    found = asgi.request("GET", "/api/nla/sources").json()["sources"]
    assert [(one["modelId"], one["id"]) for one in found] == [
        (HOST, "other"),
        (HOST, "toy"),
        (OTHER, "other"),
        (OTHER, "toy"),
    ]
    assert all(one.keys() == SOURCE for one in found)
    assert all(one["model"].keys() == {"id", "displayName", "openRouterAvailable"} for one in found)
    assert all(one["norm"] == 1 - 0.5 / 4 and one["layerNum"] == 1 for one in found)
    assert found[0]["createdAt"] == "2023-11-14T22:13:20+00:00"
    own = asgi.request("GET", "/bundles/other/api/nla/sources").json()["sources"]
    assert [(one["modelId"], one["id"]) for one in own] == [(HOST, "other"), (OTHER, "other")]
    missing = asgi.request("GET", "/bundles/nothing/api/nla/sources")
    assert missing.status == 404 and "toy, other" in missing.json()["error"]


def test_whether_a_source_can_complete():
    for backend, can in ((FakeBackend(), False), (Whole(), True)):
        found = client(backend).request("GET", "/api/nla/sources").json()["sources"]
        assert found[0]["model"]["openRouterAvailable"] is can


def test_a_notebook_explains_tokens_of_a_source():
    default, other = FakeBackend(), FakeBackend(card=card("other"))
    asgi = client(default, other=other)
    body = {"modelId": OTHER, "nlaSourceId": "other", "text": "a b c", "positions": [2, 0, 2]}
    answer = asgi.request("POST", "/api/nla/explain", json=body)
    assert answer.status == 200, answer.body
    found = answer.json()
    assert found.keys() == {"results", "layer_index", "prompt_length"}
    assert [one["position"] for one in found["results"]] == [0, 2]
    assert found["prompt_length"] == 3 and found["layer_index"] == 1
    assert not default.asked
    ((host, h_ND, sampling),) = other.asked
    assert host == OTHER and len(h_ND) == 2
    assert sampling.temperature == 0.7 and sampling.max_new_tokens == 256


def test_frames_are_those_of_the_inner_server():
    body = {"messages": CHAT, "positions": [1], "stream": True, "tokens": ["user", "b", "c"]}
    first, partial, final = client().request("POST", "/api/nla/explain", json=body).events()
    assert first == {"layer_index": 1, "total": 1, "prompt_length": 3}
    assert partial == {"position": 1, "text": partial["text"], "done": False}
    assert final["token"] == "b" and final["description"] == "place 0 sample 0"


def test_the_text_goes_before_the_messages_it_was_made_of():
    body = {"messages": CHAT, "text": "x", "positions": [0]}
    found = client().request("POST", "/api/nla/explain", json=body).json()
    assert found["results"][0]["token"] == "x" and found["prompt_length"] == 1


def test_a_completion_is_counted_in_the_tokens_of_the_whole_chat():
    asgi = client(Whole())
    body = {"messages": CHAT, "completion_tokens": 2}
    found = asgi.request("POST", "/api/nla/completion", json=body).json()
    assert found.keys() == {"completion", "full_text", "tokens"}
    assert found["completion"] == " and on"
    assert found["full_text"] == "user b c assistant  and on"
    assert [one["token"] for one in found["tokens"]] == found["full_text"].split()
    frames = asgi.request("POST", "/api/nla/completion", json={**body, "stream": True}).events()
    assert [one["type"] for one in frames] == ["prompt", "token", "token", "done"]
    text = {"text": "a", "completion_tokens": 1}
    found = asgi.request("POST", "/api/nla/completion", json=text).json()
    assert found["full_text"] == "a and" and [one["token"] for one in found["tokens"]][0] == "a"


def test_without_tokens_to_draw_a_chat_is_only_tokenized():
    found = client().request("POST", "/api/nla/completion", json={"messages": CHAT}).json()
    assert found["prompt_length"] == 3 and found["text"] == "user b c"


@pytest.mark.parametrize(
    ("path", "body", "status", "named"),
    [
        ("explain", {"text": "a", "positions": []}, 400, "positions"),
        ("explain", {"text": "a"}, 400, "positions"),
        ("explain", {"text": "a", "positions": [-1]}, 400, "positions"),
        ("explain", {"text": "a", "positions": [1]}, 400, "position"),
        ("explain", {"positions": [0]}, 400, "text"),
        ("explain", {"text": "a", "positions": [0], "priorCacheId": "x"}, 400, "priorCacheId"),
        ("explain", {"text": "a", "positions": [0], "modelId": "x"}, 400, "modelId"),
        ("explain", {"text": "a", "positions": [0], "nlaSourceId": "x"}, 404, "nlaSourceId"),
        ("explain", {"text": "a", "positions": [0], "temperature": -1}, 400, "temperature"),
        ("completion", {"messages": CHAT, "completion_tokens": 1}, 503, "cut"),
        ("completion", {"messages": CHAT, "completion_tokens": -1}, 400, "completion_tokens"),
        ("explain-saelens", {}, 400, "SAE"),
        ("explain-share", {}, 400, "keeps no explanations"),
    ],
)
def test_errors_are_one_sentence(path, body, status, named):
    answer = client().request("POST", f"/api/nla/{path}", json=body)
    assert answer.status == status, answer.body
    assert answer.json().keys() == {"error"} and named in answer.json()["error"]


def test_nothing_is_looked_up_in_a_cache():
    answer = client().request("GET", "/api/nla/cache/abc")
    assert answer.status == 400 and "keeps no explanations" in answer.json()["error"]


def test_a_busy_server_says_so_at_once():
    body = {"text": "a", "positions": [0], "stream": True}
    for error, status in ((Busy("full"), 429), (NotAvailable("no host"), 503)):
        answer = client(FakeBackend(raises=error)).request("POST", "/api/nla/explain", json=body)
        assert answer.status == status and answer.json() == {"error": str(error)}


def test_under_a_bundle_no_other_is_a_source():
    asgi = client(FakeBackend(), other=FakeBackend(card=card("other")))
    body = {"text": "a", "positions": [0], "nlaSourceId": "toy"}
    assert asgi.request("POST", "/bundles/toy/api/nla/explain", json=body).status == 200
    answer = asgi.request("POST", "/bundles/other/api/nla/explain", json=body)
    assert answer.status == 404 and answer.json()["error"].endswith("here are: other")
