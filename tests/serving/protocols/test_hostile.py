"""Whatever is sent to a route of any protocol: 4xx that names the field, and JSON that encodes."""

import json

import pytest
from tests.serving.protocols.served import LIMITS, Whole, Writer, client

H_D = [1, 2, 3, 4]
HALF = "a \ud800 b"
REQUESTS = {
    "/tokenize": {"text": "a b"},
    "/extract": {"text": "a b"},
    "/explain": {"text": "a b", "positions": [0], "temperature": 0.5, "max_new_tokens": 5},
    "/describe": {"activations": [H_D], "temperature": 0.5, "max_new_tokens": 5},
    "/score": {"description": "a b", "activation": H_D},
    "/compare": {"activation_a": H_D, "activation_b": [1, 0, 0, 0]},
    "/completion": {"text": "a b", "completion_tokens": 3, "temperature": 0.5},
    "/api/nla/explain": {"text": "a b", "positions": [0], "modelId": None, "temperature": 0.5},
    "/api/nla/completion": {"text": "a b", "completion_tokens": 3, "nlaSourceId": None},
    "/generate": {"input_embeds": [H_D], "sampling_params": {"temperature": 0.5}},
}
VALUES = [
    HALF,
    [HALF],
    {HALF: HALF},
    float("nan"),
    float("inf"),
    [float("nan")] * 4,
    [[float("-inf")] * 4],
    [[1e308] * 4],
    [[5e-324] * 4],
    [0, 0, 0, 0],
    [[0, 0, 0, 0]],
    10**400,
    -(10**30),
    "x" * 200_000,
    [[[[[]]]]],
    {"role": HALF},
    True,
    "",
    [],
    {},
]


BROKEN = [
    *(b"", b"{", b"nothing", b"[]", b"3", b"null", b"[" * 100_000),
    *(b'"\xff\xfe"', b'{"text": "\xff"}', b'{"a": ' + b"9" * 10_000 + b"}"),
]


def strict(body):
    """JSON without NaN, and without half characters."""

    def refuse(name):
        raise AssertionError(name)

    found = json.loads(body, parse_constant=refuse)
    json.dumps(found).encode()
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", REQUESTS)
def test_every_field_of_every_request_with_every_value(path, stream):
    asgi = client(Writer() if path == "/generate" else Whole())
    num_refused = 0
    for field in (*REQUESTS[path], "host", "messages", "stream", "unknown"):
        for value in VALUES:
            body = {"stream": stream, **REQUESTS[path], field: value}
            answer = asgi.request("POST", path, json=body)
            assert answer.status in (200, 400, 404, 422), (field, str(value)[:50], answer.body)
            if answer.status == 200:
                continue
            num_refused += 1
            found = json.dumps(strict(answer.body))
            is_named = field in found or (field == "positions" and "position" in found)
            assert is_named or field in ("text", "messages"), (field, str(value)[:50], found)
    assert num_refused > len(VALUES)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/tokenize", "text"),
        ("/tokenize", "host"),
        ("/score", "description"),
        ("/api/nla/explain", "modelId"),
        ("/api/nla/explain", "nlaSourceId"),
        ("/generate", "input_embeds_b64_bf16"),
        ("/v1/completions", "prompt_embeds"),
        ("/v1/completions", "model"),
        ("/v1/completions", "stop"),
    ],
)
def test_half_a_surrogate_pair_is_refused_by_the_name_of_its_field(path, field):
    answer = client().request("POST", path, json={**REQUESTS.get(path, {}), field: HALF})
    assert answer.status == 400 and field in json.dumps(strict(answer.body))


@pytest.mark.parametrize("path", [*REQUESTS, "/v1/completions", "/v1/chat/completions"])
def test_bodies_that_are_no_request(path):
    asgi = client()
    for body in BROKEN:
        for kind in ("application/json", "text/plain"):
            answer = asgi.request("POST", path, body=body, headers={"content-type": kind})
            assert answer.status in (400, 422), (body[:50], answer.body)
            strict(answer.body)


def test_text_that_a_model_gives_is_sent_whatever_it_is():
    backend = Writer(text="<explanation>\ud800 \u2028 \x00 </explanation>")
    body = {"input_embeds": [H_D]}
    for stream in (False, True):
        answer = client(backend).request("POST", "/generate", json={**body, "stream": stream})
        assert answer.status == 200
        found = answer.events()[-1] if stream else answer.json()
        assert found["text"] == backend.text


def test_the_schema_of_all_routes_is_made_and_has_each_of_them():
    answer = client().request("GET", "/openapi.json")
    paths = answer.json()["paths"]
    for path in (*REQUESTS, "/", "/api/nla/sources", "/v1/completions", "/v1/chat/completions"):
        assert path in paths and f"/bundles/{{bundle}}{path}" in paths
        parameters = next(iter(paths[f"/bundles/{{bundle}}{path}"].values()))["parameters"]
        assert "bundle" in [one["name"] for one in parameters if one["in"] == "path"]
        own = next(iter(paths[path].values())).get("parameters", [])
        assert "path" not in [one["in"] for one in own]
    activations = answer.json()["components"]["schemas"]["DescribeRequest"]["properties"][
        "activations"
    ]
    assert activations["items"] == {"type": "array", "items": {"type": "number"}}
    assert LIMITS.max_rows == 5
