"""Requests made of the OpenAPI, right and wrong ones, to engines of a real bundle.

As it is published a schema leads no further than to the names of hosts and bundles; so half of the
requests are made of one that knows them, and asks for little, so that models answer.
"""

import json
import time
import warnings
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from itertools import chain, count
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from requests import Request
from schemathesis.generation import GenerationMode
from tests.serving.asgi import Asgi

from interlingua.serving.engines.local import LocalBackend
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.routers import every_router

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXAMPLES = 6  # of one operation, one mode and one schema at a time
HOSTS = {"host", "modelId"}
BUNDLES = {"bundle", "model", "nlaSourceId", "name"}
AMOUNTS = {"n", "max_new_tokens", "max_tokens", "max_completion_tokens", "completion_tokens"}
ALTERNATIVES = ("texts", "messages", "positions")
ROWS = {"activations", "input_embeds"}
HOST = "toy-gpt2-medium"
LEAST_ANSWERED = 3  # operations that models answer, so that it is known that they were asked
# 503: a host of a bundle is cut, and has nothing to complete a prompt with.
STATUSES = {200, 307, 400, 404, 405, 413, 415, 422, 503}
VECTORS = {"activation", "activation_a", "activation_b"}


def narrowed(schema: dict[str, Any], host: str, bundle: str, width: int) -> dict[str, Any]:
    """A schema of requests that get past the first checks: one host, one bundle, few tokens."""
    schema = deepcopy(schema)
    vector = {"type": "array", "items": {"type": "number"}, "minItems": width, "maxItems": width}
    values: dict[str, Any] = {
        **dict.fromkeys(HOSTS, {"enum": [host]}),
        **dict.fromkeys(BUNDLES, {"enum": [bundle, None]}),
        **dict.fromkeys(AMOUNTS, {"type": "integer", "minimum": 1, "maximum": 3}),
        **dict.fromkeys(ROWS, {"type": "array", "items": vector, "minItems": 1, "maxItems": 3}),
        **dict.fromkeys(VECTORS, vector),
    }
    for model in schema["components"]["schemas"].values():
        fields = model.get("properties", {})
        if fields.keys() >= {"activations", "text"}:
            for name in ALTERNATIVES:  # a request with two of them is refused
                fields.pop(name, None)
        fields.update({name: values[name] for name in fields.keys() & values.keys()})
        model["required"] = [*model.get("required", []), *sorted(fields.keys() & HOSTS)]
    # Those of one bundle are the same, and two in three of all.
    schema["paths"] = {
        path: operations for path, operations in schema["paths"].items() if "{" not in path
    }
    return schema


def fuzz(backend: LocalBackend, seconds: float) -> None:
    """Ask for this long; prints how often each status came, and asserts that models answered."""
    app = make_app({"mini": backend}, Settings(has_access_log=False), every_router())
    asgi = Asgi(app)
    published = asgi.request("GET", "/openapi.json").json()
    known = narrowed(published, HOST, "mini", backend.card.hosts[HOST].width)
    statuses = fuzzed(asgi, [known, published], seconds)
    of_all = Counter[int]()
    for (_, status), number in statuses.items():
        of_all[status] += number
    print(f"{of_all.total()} requests of {len({label for label, _ in statuses})}: {dict(of_all)}")
    by_models = [label for label, status in statuses if status == 200 and label.startswith("POST")]
    print(by_models)
    assert len(by_models) >= LEAST_ANSWERED


def fuzzed(asgi: Asgi, schemas: list[dict[str, Any]], seconds: float) -> Counter[tuple[str, int]]:
    """How often each operation answered with each status; raises at the first 500.

    Every operation of the first schema is called, however long that takes.
    """
    warnings.simplefilter("ignore")  # of schemathesis, of what it cannot make wrong
    statuses: Counter[tuple[str, int]] = Counter()
    made = [schemathesis.openapi.from_dict(schema) for schema in schemas]
    first, *others = [[one.ok() for one in schema.get_all_operations()] for schema in made]
    deadline = time.monotonic() + seconds
    for turn in count():
        for place, operation in enumerate([*first, *chain(*others)]):
            if time.monotonic() > deadline and (turn or place >= len(first)):
                return statuses
            for mode in MODES:
                # Some operations have nothing that could be wrong.
                with suppress(Unsatisfiable):
                    call_with(asgi, operation, mode, turn, statuses)
    return statuses


def call_with(
    asgi: Asgi,
    operation: Any,
    mode: GenerationMode,
    turn: int,
    statuses: Counter[tuple[str, int]],
) -> None:
    """Some requests of one operation."""

    @seed(turn)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        status, body = answered(asgi, case)
        statuses[operation.label, status] += 1
        assert status in STATUSES, (operation.label, status, body, case.body)
        if status >= 400:
            json.loads(body)  # an error is JSON, and so is every part of it

    call()


def answered(asgi: Asgi, case: Any) -> tuple[int, bytes]:
    """Status and body of a case."""
    parts = case.as_transport_kwargs(base_url="http://test")
    if "json" in parts:  # NaN, too, which requests would not send
        parts["data"] = json.dumps(parts.pop("json")).encode()
    sent = Request(**parts).prepare()
    headers = {str(name): as_text(value) for name, value in sent.headers.items()}
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    answer = asgi.request(str(sent.method), sent.path_url, body=body, headers=headers)
    return answer.status, answer.body


def as_text(value: str | bytes) -> str:
    """A header's value as a server reads it."""
    return value.decode("latin-1") if isinstance(value, bytes) else value
