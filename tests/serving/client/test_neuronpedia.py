"""An endpoint over a server that has Neuronpedia's protocol alone, ours or another."""

import json

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse
from tests.serving.client.served import neuronpedia_alone
from tests.serving.fake import HOST, WIDTH, FakeBackend, card

from interlingua.serving.backend import Limits
from interlingua.serving.client.endpoint import Endpoint
from interlingua.serving.client.errors import EndpointError, NotOffered
from interlingua.serving.protocols.routers import every_router

H_ND = np.eye(WIDTH)[[3, 0, 1, 2, 2]]
STATUS = {
    "status": "ok", "verbalizer_model": "av", "d_model": 2, "source_model": "llama",
    "reconstructor_available": True, "max_concurrent": 2, "max_describe_requests": 1,
    "limits": {"max_describe_batch": 8},
}  # fmt: skip


@pytest.fixture
def backend():
    return FakeBackend(card=card(limits=Limits(max_rows=2)))


@pytest.fixture
def endpoint(switch, backend):
    return Endpoint(switch.over(neuronpedia_alone(backend)))


def texts(drawn):
    return [[one.explanation for one in samples] for samples in drawn]


def test_its_host_is_the_source_model(endpoint, switch):
    assert list(endpoint.hosts) == [HOST]
    expected = f"<Endpoint of {HOST} at {switch.url}, in Neuronpedia's protocol: {HOST}>"
    assert repr(endpoint) == expected
    with pytest.raises(ValueError, match="host is 'toy-b'; this NLA knows: toy-a"):
        endpoint.verbalize(H_ND, "toy-b")
    with pytest.raises(NotOffered, match="model: .* has one NLA alone"):
        Endpoint(switch.url, "second")
    of_one = Endpoint(switch.over(under_bundles(FakeBackend(card=card("second")))) + "/bundles/b")
    assert list(of_one.hosts) == [HOST]


def under_bundles(backend):
    app = FastAPI()
    app.state.backends = {"b": backend}
    for router in every_router():
        app.include_router(router)
    return app


def test_descriptions_of_activations(endpoint, backend, switch):
    drawn = endpoint.verbalize(H_ND * 1e30, HOST, max_new_tokens=9)
    assert texts(drawn) == [[f"place {place} sample 0"] for place in (3, 0, 1, 2, 2)]
    assert drawn[0][0].raw_text == drawn[0][0].explanation
    assert np.isnan(drawn[0][0].log_prob) and drawn[0][0].share_nearer is None
    sent = [one.content["activations"] for one in switch.posted]
    assert sorted(map(len, sent)) == [1, 2, 2] and (H_ND[:2] * 1e30).tolist() in sent
    for _, _, sampling in backend.asked:
        assert (sampling.temperature, sampling.max_new_tokens) == (0, 9)
    assert endpoint.verbalize(H_ND[:0], HOST) == []


def test_samples_are_drawn_by_requests_of_their_own(endpoint, backend, switch):
    drawn = endpoint.verbalize(H_ND, HOST, n=3, temperature=0.9)
    assert [len(samples) for samples in drawn] == [3] * 5
    assert len(switch.posted) == 9 and len({one.body for one in switch.posted}) == 3
    assert len({sampling.seed for _, _, sampling in backend.asked}) == 9


def test_what_it_does_not_have_is_refused_by_name(endpoint, switch):
    for name, options in {
        "seed": {"seed": 0, "temperature": 1.0},
        "banned": {"banned": [3]},
        "banned, prefix": {"banned": [3], "prefix": "a"},
    }.items():
        with pytest.raises(NotOffered, match=f"^{name}: toy-a at http.* has no such field"):
            endpoint.verbalize(H_ND, HOST, **options)
    with pytest.raises(NotOffered, match="gives no vectors of texts; `score` holds"):
        endpoint.reconstruct(["a"], HOST)
    with pytest.raises(NotOffered, match="positions is missing; .* reads tokens"):
        endpoint.read(["a"], HOST)
    assert not switch.posted
    endpoint.verbalize(H_ND, HOST, seed=5)  # of greedy texts a seed changes nothing


def test_activations_at_tokens(endpoint):
    found = endpoint.read(["a b c", "d e"], HOST, [[0, -1], [np.int64(1)]])
    assert found.h_ND.dtype == np.float32
    assert found.h_ND.tolist() == [[0, 1, 1, 1], [2, 1, 1, 1], [1, 1, 1, 1]]
    assert ([*found.texts], [*found.positions]) == ([0, 0, 1], [0, 2, 1])
    for place in (3, -4):
        with pytest.raises(
            ValueError, match=f"position is {place}; toy-a reads text 1 as 3 tokens"
        ):
            endpoint.read(["a", "a b c"], HOST, [[0], [place]])


def test_numbers_are_the_servers(endpoint):
    explanations = ["place 3", None, "place 2", "place 2", "place 2"]
    scores = endpoint.score(explanations, H_ND, HOST)
    np.testing.assert_allclose(scores.cosine_N, [1, 0, 0, 1, 1], atol=1e-12)
    np.testing.assert_allclose(scores.nmse_N, [0, 2, 2, 0, 0], atol=1e-12)
    first, *_, last = endpoint.round_trips(H_ND, HOST)
    assert (first.verbalization.explanation, last.verbalization.explanation) == (
        "place 3 sample 0", "place 2 sample 0",
    )  # fmt: skip
    # The fake's AR takes the first number of a text, and 0 is that of the sample.
    assert (first.cosine, first.nmse) == (0, 2)
    assert np.isnan(first.rebuilt_D).all() and first.activation_D.tolist() == [0, 0, 0, 2]


def test_a_stream_of_every_row_alone(endpoint, switch):
    seen = []
    drawn = endpoint.verbalize(
        H_ND[:2], HOST, n=2, temperature=1, on_token=lambda *a: seen.append(a)
    )
    assert texts(drawn) == [["place 3 sample 0"] * 2, ["place 0 sample 0"] * 2]
    assert [(row, sample) for row, sample, _ in seen[::2]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [text for *_, text in seen[:2]] == ["<explanation>\nplace ", "place 3 sample 0"]
    assert {one.content["stream"] for one in switch.posted} == {True}


class Other:
    """A server of somebody else: a status, and answers by path."""

    def __init__(self, status, **answers):
        self.status, self.answers = status, answers

    async def __call__(self, scope, receive, send):
        path = scope["path"].strip("/")
        if path and path not in self.answers:
            response = JSONResponse({"detail": "Not Found"}, 404)
        else:
            response = JSONResponse(self.answers[path] if path else self.status)
        await response(scope, receive, send)


def test_a_server_of_somebody_else(switch):
    results = [{"description": "a", "mse": 0.5, "cosine_similarity": 0.75}, {"description": ""}]
    endpoint = Endpoint(switch.over(Other(STATUS, describe={"results": results})))
    first, second = endpoint.round_trips(np.eye(2), "llama")
    assert (first.nmse, first.cosine) == (0.5, 0.75)
    assert (second.verbalization.explanation, second.nmse, second.cosine) == (None, 2, 0)
    with pytest.raises(EndpointError, match="1 activations were sent, and 2 descriptions came"):
        endpoint.verbalize([1, 0], "llama")
    with pytest.raises(EndpointError, match="/extract answered 404: Not Found"):
        endpoint.read(["a"], "llama", [[0]])
    endpoint = Endpoint(switch.over(Other(STATUS, describe={})))
    with pytest.raises(EndpointError, match="an answer has no `results`, which Neuronpedia's"):
        endpoint.verbalize([1, 0], "llama")


def test_a_server_without_a_source_model_or_a_reconstructor(switch):
    status = STATUS | {"source_model": None, "d_model": None, "reconstructor_available": False}
    answers = {"describe": {"results": [{"description": "a"}]}}
    endpoint = Endpoint(switch.over(Other(json.loads(json.dumps(status)), **answers)))
    assert not endpoint.hosts
    assert texts(endpoint.verbalize([1, 2, 3], "any")) == [["a"]]
    for call in (
        lambda: endpoint.read(["a"], "any", [[0]]),
        lambda: endpoint.score(["a"], [1, 2, 3], "any"),
        lambda: endpoint.round_trips([1, 2, 3], "any"),
    ):
        with pytest.raises(NotOffered, match="an NLA at http.*, has no "):
            call()


def test_the_models_of_another_kind_of_server_are_not_taken_for_ours(switch):
    models = {"object": "list", "data": [{"id": "gpt", "object": "model"}]}
    app = Other(STATUS, **{"v1/models": models, "describe": {"results": [{"description": "a"}]}})
    assert texts(Endpoint(switch.over(app)).verbalize([1, 0], "llama")) == [["a"]]
