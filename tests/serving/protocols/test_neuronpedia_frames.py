"""Frames of Neuronpedia's streams, and a client that knows nothing but its specification."""

import json

import pytest
from tests.serving.protocols.served import Whole, client

BEGIN = {"layer_index", "total", "prompt_length"}
TOKEN = {
    *("token", "token_id", "position", "fragment_index", "fragment_count"),
    *("role", "section", "channel", "message_index"),
}
DESCRIBED = {"description", "mse", "cosine_similarity"}
EXPLAINED = TOKEN | DESCRIBED | {"l2_norm", "generated"}


def frames(path, body, backend=None):
    asgi = client() if backend is None else client(backend)
    answer = asgi.request("POST", path, json={**body, "stream": True})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    return answer.events()


@pytest.mark.parametrize("path", ["/explain", "/bundles/toy/explain"])
def test_explain(path):
    first, *others = frames(path, {"text": "a b c", "positions": [0, 2]})
    assert first == {"layer_index": 1, "total": 2, "prompt_length": 3}
    partial = [one for one in others if "description" not in one]
    final = [one for one in others if "description" in one]
    assert partial and all(one.keys() == {"position", "text", "done"} for one in partial)
    assert all(one["done"] is False for one in partial)
    assert all(one.keys() == EXPLAINED for one in final)
    assert sorted(one["position"] for one in final) == [0, 2]


def test_the_whole_answer_holds_the_final_frames():
    body = {"text": "a b c", "temperature": 0}
    whole = client().request("POST", "/explain", json=body).json()["results"]
    final = [one for one in frames("/explain", body) if "description" in one]
    assert sorted(final, key=lambda one: -one["position"]) == whole


def test_describe_names_the_vector_of_every_frame():
    others = frames("/describe", {"activations": [[0, 0, 0, 1], [0, 2, 0, 0]]})
    final = {one["index"]: one for one in others if "description" in one}
    partial = [one for one in others if "description" not in one]
    assert partial and all(one.keys() == {"index", "text", "done"} for one in partial)
    assert final[0]["description"] == "place 3 sample 0"
    assert final[1]["description"] == "place 1 sample 0"
    assert all(one.keys() == DESCRIBED | {"index"} for one in final.values())


def test_completion():
    first, *others, last = frames("/completion", {"text": "a b"}, Whole())
    assert first.keys() == {"type", "prompt_length", "tokens"} and first["type"] == "prompt"
    assert [set(one) for one in first["tokens"]] == [TOKEN, TOKEN]
    assert all(one.keys() == {"type", "token"} and one["type"] == "token" for one in others)
    assert all(one["token"].keys() == TOKEN for one in others)
    text = "".join(one["token"]["token"] for one in others)
    assert text == " and on it goes" and [one["token"]["position"] for one in others] == [
        2,
        3,
        4,
        5,
    ]
    assert last == {"type": "done", "text": "a b and on it goes"}


def test_a_cut_host_is_a_status_of_a_completion_and_no_frame():
    answer = client().request("POST", "/completion", json={"text": "a", "stream": True})
    assert answer.status == 503 and answer.json().keys() == {"detail"}


class SpecificationClient:
    """Asks what a server is, tokenizes a chat, and has the tokens of its last turn explained."""

    def __init__(self, asgi):
        self.asgi = asgi
        status = self._call("GET", "/")
        assert status["status"] == "ok"
        self.most = status["limits"]["max_positions_per_request"]

    def explained(self, messages):
        chat = {"messages": messages, "enable_thinking": False}
        tokens = self._call("POST", "/tokenize", chat)["tokens"]
        places = [one["position"] for one in tokens if one["role"] == messages[-1]["role"]]
        body = {**chat, "positions": places[: self.most], "stream": True}
        answer = self.asgi.request("POST", "/explain", json=body)
        assert answer.status == 200
        found, total = {}, None
        for line in answer.body.decode().split("\n"):
            data = line.removeprefix("data: ")
            if data == line or data == "[DONE]":
                continue
            one = json.loads(data)
            if "total" in one:
                total = one["total"]
            elif "description" in one:
                found[one["position"]] = one["description"], one["mse"]
            else:
                assert one["position"] in places and not one["done"]
        assert len(found) == total
        return found

    def _call(self, method, path, body=None):
        answer = self.asgi.request(method, path, json=body)
        assert answer.status == 200
        return answer.json()


def test_a_client_of_the_specification_gets_its_frames():
    found = SpecificationClient(client()).explained([{"role": "user", "content": "x y z"}])
    # The fake AR makes place 0 of every text of the fake AV: the cosines are those of the vectors.
    assert found == {
        0: ("place 1 sample 0", pytest.approx(2)),
        1: ("place 0 sample 0", pytest.approx(1)),
        2: ("place 0 sample 0", pytest.approx(2 - 4 * 7**-0.5)),
        3: ("place 0 sample 0", pytest.approx(2 - 6 * 12**-0.5)),
    }
