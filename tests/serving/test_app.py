"""The app as a whole: its probe, its metrics, its description, and what it needs to start."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import APIRouter
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from tests.serving.asgi import Asgi
from tests.serving.fake import HOST, FakeBackend, card

from interlingua.serving.backend import Backend, Busy
from interlingua.serving.own.app import Settings, make_app

ASKED = {"host": HOST, "activations": [[0, 3.0, 0, 0], [1, 0, 0, 0]]}
POSTS = {"tokens", "controls", "activations", "verbalize", "reconstruct", "roundtrip", "score"}
HEAVY = ("torch", "ray", "transformers", "deepspeed", "mlflow", "peft")


def client(backend: FakeBackend, *routers: APIRouter) -> Asgi:
    return Asgi(make_app({"toy": backend}, Settings(), routers))


def samples(asgi: Asgi) -> dict[tuple[str, ...], float]:
    """Values of /metrics by name, route and status."""
    answer = asgi.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, sample.labels.get("route", ""), sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_metrics_count_by_route_and_status() -> None:
    backend = FakeBackend()
    asgi = client(backend)
    for _ in range(2):
        asgi.request("POST", "/v1/verbalize", json=ASKED)
    asgi.request("POST", "/v1/verbalize", json=ASKED | {"stream": True})
    asgi.request("POST", "/v1/verbalize", json=ASKED | {"n": 0})
    backend.raises = Busy()
    asgi.request("POST", "/v1/reconstruct", json={"texts": ["a", "b", "c"], "host": HOST})
    for number in range(3):
        asgi.request("GET", f"/invented/{number}")
    asgi.request("GET", "/v1/models/toy")
    found = samples(asgi)
    assert found["interlingua_requests_total", "/v1/verbalize", "200"] == 3
    assert found["interlingua_rows_total", "/v1/verbalize", "200"] == 6
    assert found["interlingua_requests_total", "/v1/verbalize", "422"] == 1
    assert found["interlingua_rows_total", "/v1/verbalize", "422"] == 0
    assert found["interlingua_requests_total", "/v1/reconstruct", "429"] == 1
    assert found["interlingua_rows_total", "/v1/reconstruct", "429"] == 3
    assert found["interlingua_requests_total", "none", "404"] == 3
    assert found["interlingua_requests_total", "/v1/models/{name:path}", "200"] == 1
    assert found["interlingua_request_seconds_count", "/v1/verbalize", "200"] == 3
    assert 0 < found["interlingua_request_seconds_sum", "/v1/verbalize", "200"] < 30
    assert samples(asgi)["interlingua_requests_total", "/metrics", "200"] == 1


def test_every_app_has_metrics_of_its_own() -> None:
    one, other = client(FakeBackend()), client(FakeBackend())
    one.request("GET", "/v1/models")
    assert ("interlingua_requests_total", "/v1/models", "200") in samples(one)
    assert ("interlingua_requests_total", "/v1/models", "200") not in samples(other)


def test_the_probe_asks_nothing_of_the_models() -> None:
    backends: dict[str, Backend] = {"toy": FakeBackend(raises=RuntimeError("at work"))}
    asgi = Asgi(make_app(backends, Settings()))
    assert asgi.request("GET", "/healthz").json() == {"status": "ok", "models": ["toy"]}
    backends["second"] = FakeBackend(card=card("second"))
    assert asgi.request("GET", "/healthz").json()["models"] == ["toy", "second"]
    del backends["toy"], backends["second"]
    assert asgi.request("GET", "/healthz").json() == {"status": "ok", "models": []}


def test_routers_of_others_come_first() -> None:
    other = APIRouter()

    @other.get("/v1/models")
    async def models() -> str:
        return "other"

    assert client(FakeBackend(), other).request("GET", "/v1/models").json() == "other"


@pytest.fixture(scope="module")
def openapi() -> dict:
    return client(FakeBackend()).request("GET", "/openapi.json").json()


def test_the_description_has_every_route_error_and_example(openapi) -> None:
    assert openapi["info"]["title"] == "Interlingua"
    paths = openapi["paths"]
    assert set(paths) == {f"/v1/{name}" for name in (*POSTS, "models", "models/{name}")}
    for name in POSTS:
        post = paths[f"/v1/{name}"]["post"]
        assert post["responses"].keys() == {
            "200", "400", "401", "403", "404", "408", "413", "422", "429", "503",
        }  # fmt: skip
        for status, response in post["responses"].items():
            if status != "200":
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
        schema = schema_of(openapi, post["requestBody"]["content"]["application/json"]["schema"])
        assert schema["additionalProperties"] is False and schema["examples"]
        assert post["summary"] and post["description"]
    for name in ("verbalize", "roundtrip"):
        content = paths[f"/v1/{name}"]["post"]["responses"]["200"]["content"]
        assert content.keys() == {"application/json", "text/event-stream"}


def schema_of(openapi: dict, schema: dict) -> dict:
    name = schema["$ref"].removeprefix("#/components/schemas/")
    return openapi["components"]["schemas"][name] | {"components": openapi["components"]}


@pytest.mark.parametrize("name", sorted(POSTS))
def test_examples_and_answers_are_what_the_description_says(openapi, name) -> None:
    post = openapi["paths"][f"/v1/{name}"]["post"]
    asked = schema_of(openapi, post["requestBody"]["content"]["application/json"]["schema"])
    (example,) = asked["examples"]
    Draft202012Validator(asked).validate(example)
    sent = {**example, "host": HOST}
    answer = client(FakeBackend()).request("POST", f"/v1/{name}", json=sent)
    assert answer.status == 200
    given = post["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema_of(openapi, given)).validate(answer.json())


def test_the_app_opens_without_torch_or_ray() -> None:
    program = (
        "import sys, interlingua.serving.own.app; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_every_example_of_the_documentation_is_answered() -> None:
    text = (Path(__file__).parents[2] / "docs/serving.md").read_text()
    examples = re.findall(r"/v1/(\w+) [^\n]* -d '(\{.*?\})'", text, re.DOTALL)
    assert {route for route, _ in examples} == POSTS - {"score"}
    for route, content in examples:
        asked = json.loads(content) | {"host": HOST}
        assert client(FakeBackend()).request("POST", f"/v1/{route}", json=asked).status == 200
