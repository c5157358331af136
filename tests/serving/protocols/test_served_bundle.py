"""The protocols over engines of a real bundle give what its models give in this process."""

import numpy as np
import pytest
from tests.serving.protocols.served import client

from interlingua.core.geometry import nmse
from interlingua.serving.protocols.shared import description_in

pytestmark = pytest.mark.slow

HOST = "toy-gpt2-medium"
TEXT = "dear friend, the farmer happily carried a basket."
# Greedy, this small AV says nothing of some tokens.
DRAWN = {"temperature": 1, "seed": 3, "max_new_tokens": 16}


def call(asgi, path, **body):
    answer = asgi.request("POST", path, json={**DRAWN, "host": HOST, **body})
    assert answer.status == 200, answer.body
    return answer.events() if body.get("stream") else answer.json()


def test_explanations_and_scores_are_those_of_the_models(nla, backend):
    found = call(client(backend), "/explain", text=TEXT, positions=[1, -1, 4])["results"]
    h_ND = nla.read([TEXT], HOST, positions=[[1, -1, 4]]).h_ND[::-1]
    drawn = nla.verbalize(h_ND.copy(), HOST, **DRAWN)
    texts = [description_in(one.raw_text) for (one,) in drawn]
    assert [one["description"] for one in found] == texts
    rebuilt_ND = nla.reconstruct(texts, HOST)
    np.testing.assert_allclose([one["mse"] for one in found], nmse(rebuilt_ND, h_ND), atol=1e-6)
    norms = np.linalg.norm(h_ND, axis=1)
    np.testing.assert_allclose([one["l2_norm"] for one in found], norms, rtol=1e-6)


def test_what_is_extracted_is_described_as_it_was_explained(backend):
    asgi = client(backend)
    every = call(asgi, "/explain", text=TEXT, reverse=False)["results"]
    tokens = call(asgi, "/extract", text=TEXT)["tokens"]
    assert [one["token"] for one in tokens] == [one["token"] for one in every]
    activations = [one["activation"] for one in tokens]
    described = call(asgi, "/describe", activations=activations)["results"]
    for one, other, activation in zip(described, every, activations, strict=True):
        assert one["description"] == other["description"]
        assert one["mse"] == pytest.approx(other["mse"], abs=1e-6)
        scored = call(asgi, "/score", description=one["description"], activation=activation)
        assert scored["mse"] == pytest.approx(one["mse"], abs=1e-6)


def test_a_stream_ends_as_the_whole_answer(backend):
    asgi = client(backend)
    whole = call(asgi, "/explain", text=TEXT)["results"]
    frames = call(asgi, "/explain", text=TEXT, stream=True)
    final = [one for one in frames if "description" in one]
    final.sort(key=lambda one: -one["position"])
    assert [one["description"] for one in final] == [one["description"] for one in whole]
    assert len(frames) > 3 * len(final)


def test_vectors_with_slots_of_their_own_are_no_embeddings(backend):
    rows = [[0.0] * backend.card.width]
    answer = client(backend).request("POST", "/generate", json={"input_embeds": rows})
    assert answer.status == 400 and backend.card.obstacle in answer.json()["error"]["message"]
