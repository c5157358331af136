"""Who may ask, how much, and what is written down of it."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from tests.serving.asgi import Answer, Asgi
from tests.serving.fake import HOST, FakeBackend, card

from interlingua.serving.backend import Limits
from interlingua.serving.http.access import TokenCheck
from interlingua.serving.own.app import Settings, make_app

ASKED = {"host": HOST, "activations": [[0, 3.0, 0, 0], [1, 0, 0, 0]], "prefix": "hush"}
TOKEN = "a token"
JSON = {"content-type": "application/json"}


def client(settings: Settings, backend: FakeBackend | None = None) -> Asgi:
    return Asgi(make_app({"toy": backend or FakeBackend()}, settings))


def models(headers: dict[str, str], **settings) -> Answer:
    return client(Settings(**settings)).request("GET", "/v1/models", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
        {"x-secret-key": TOKEN},
        {"x-secret-key": TOKEN, "authorization": "Basic abc"},
        {"x-secret-key": TOKEN, "authorization": "Bearer wrong"},
    ],
)
def test_who_has_the_token_is_let_in(headers) -> None:
    assert models(headers, token=TOKEN).status == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic abc"}])
def test_without_a_token_it_is_a_401(headers) -> None:
    answer = models(headers, token=TOKEN)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["type"] == "no_token"
    assert "Authorization" in answer.json()["error"]["remedy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"x-secret-key": ""},
        {"x-secret-key": TOKEN + "x"},
        {"x-secret-key": "a tok\xe4n"},
    ],
)
def test_with_another_token_it_is_a_403(headers) -> None:
    answer = models({name: value for name, value in headers.items()}, token=TOKEN)
    assert answer.status == 403
    assert answer.json()["error"]["type"] == "wrong_token"


def test_nothing_is_open_without_a_token_but_the_probe() -> None:
    asgi = client(Settings(token=TOKEN))
    assert asgi.request("GET", "/healthz").status == 200
    for path in ("/v1/models", "/metrics", "/openapi.json", "/docs", "/nowhere", "/healthz/"):
        assert asgi.request("GET", path).status == 401
    backend = FakeBackend()
    refused = client(Settings(token=TOKEN), backend).request("POST", "/v1/verbalize", json=ASKED)
    assert refused.status == 401 and not backend.asked


def test_without_a_token_in_the_settings_everybody_may() -> None:
    assert models({}).status == models({"x-secret-key": "any"}).status == 200
    for token in ("", "  ", "\xe4"):
        with pytest.raises(ValueError, match="token"):
            Settings(token=token)


def test_no_socket_goes_around_the_token() -> None:
    async def inside(scope, receive, send) -> None:
        raise AssertionError("let in")

    sent = []

    async def send(message) -> None:
        sent.append(message)

    check = TokenCheck(inside, TOKEN)
    scope = {"type": "websocket", "path": "/v1/models", "headers": []}
    asyncio.run(check(scope, send, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


SMALL = Limits(max_body_bytes=200)


@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize("excess", [0, 1])
def test_the_limit_of_a_body_is_exact(excess, is_declared) -> None:
    backend = FakeBackend(card=card(limits=SMALL))
    content = json.dumps(ASKED).encode()
    content += b" " * (200 + excess - len(content))
    body = content if is_declared else [content[:90], content[90:150], b"", content[150:]]
    answer = client(Settings(), backend).request("POST", "/v1/verbalize", body=body, headers=JSON)
    assert answer.status == (413 if excess else 200)
    assert len(backend.asked) == 1 - excess


def test_a_declared_length_is_not_believed() -> None:
    backend = FakeBackend(card=card(limits=SMALL))
    for length in ("10", "-1", "x", "1e3", ""):
        answer = client(Settings(), backend).request(
            "POST", "/v1/verbalize", body=[b" " * 201], headers=JSON | {"content-length": length}
        )
        assert answer.status == 413


def test_what_is_declared_too_large_is_not_even_received() -> None:
    async def check() -> None:
        asgi = client(Settings(), FakeBackend(card=card(limits=SMALL)))
        parts = [b"x"] * 5
        answer = await asgi.arequest(
            "POST", "/v1/verbalize", body=parts, headers=JSON | {"content-length": "201"}
        )
        assert answer.status == 413
        assert answer.json()["error"]["field"] == "body"

    asyncio.run(check())


def test_the_largest_limit_of_the_bundles_that_are_open_counts() -> None:
    backends = {"small": FakeBackend(card=card(limits=SMALL))}
    asgi = Asgi(make_app(backends, Settings()))
    body = json.dumps(ASKED).encode() + b" " * 200
    ask = ("POST", "/v1/verbalize")
    assert asgi.request(*ask, body=body, headers=JSON).status == 413
    backends["large"] = FakeBackend(card=card(limits=Limits(max_body_bytes=300)))
    assert asgi.request(*ask, body=body, headers=JSON).status == 200


def test_other_origins_may_not_ask_unless_they_are_named() -> None:
    page = {"origin": "https://a.example"}
    preflight = page | {"access-control-request-method": "POST"}
    allow = "access-control-allow-origin"
    assert allow not in models(page).headers
    closed = client(Settings()).request("OPTIONS", "/v1/verbalize", headers=preflight)
    assert closed.status == 405 and allow not in closed.headers
    named = Settings(origins=("https://a.example",), token=TOKEN)
    opened = client(named).request("OPTIONS", "/v1/verbalize", headers=preflight)
    assert (opened.status, opened.headers[allow]) == (200, "https://a.example")
    refused = client(named).request("GET", "/v1/models", headers=page)
    assert (refused.status, refused.headers[allow]) == (401, "https://a.example")
    other = client(named).request("GET", "/v1/models", headers={"origin": "https://b.example"})
    assert allow not in other.headers


@pytest.fixture
def lines(caplog) -> Iterator[list[dict[str, object]]]:
    found: list[dict[str, object]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(record.getMessage()))

    log = logging.getLogger("interlingua.access")
    handler = Keep()
    log.addHandler(handler)
    caplog.set_level(logging.INFO, "interlingua.access")
    yield found
    log.removeHandler(handler)


def test_a_line_of_the_log_has_sizes_and_a_bundle_and_no_text(lines, caplog) -> None:
    asgi = client(Settings())
    answer = asgi.request("POST", "/v1/verbalize?q=hush", json=ASKED)
    (line,) = lines
    assert isinstance(line.pop("ms"), float)
    assert line == {
        "method": "POST", "path": "/v1/verbalize", "status": 200,
        "bytes_in": len(json.dumps(ASKED)), "bytes_out": len(answer.body),
        "is_whole": True, "bundle": "toy",
    }  # fmt: skip
    asgi.request("POST", "/v1/verbalize", json=ASKED | {"prefix": "\ud800 hush"})
    asgi.request("POST", "/v1/verbalize", json=ASKED | {"hush": 1})
    assert [one["status"] for one in lines] == [200, 400, 422]
    assert "hush" not in caplog.text and "place" not in caplog.text


def test_a_path_cannot_write_a_line_of_its_own(lines, caplog) -> None:
    client(Settings()).request("GET", "/a\nGET /b" + "c" * 500)
    assert lines[0]["status"] == 404 and lines[0]["bundle"] is None
    assert len(str(lines[0]["path"])) == 200
    assert caplog.records[0].getMessage().count("\n") == 0


def test_all_that_ends_is_in_the_log(lines) -> None:
    asgi = client(Settings(token=TOKEN), FakeBackend(card=card(limits=SMALL)))
    asgi.request("GET", "/v1/models")
    asgi.request("POST", "/v1/verbalize", body=b" " * 201, headers={"x-secret-key": TOKEN})
    asgi.request("GET", "/healthz")
    assert [line["status"] for line in lines] == [401, 413, 200]


def test_a_stream_is_one_line_when_it_is_over(lines) -> None:
    answer = client(Settings()).request("POST", "/v1/verbalize", json=ASKED | {"stream": True})
    assert [line["bytes_out"] for line in lines] == [len(answer.body)]


def test_the_log_can_be_off(lines) -> None:
    client(Settings(has_access_log=False)).request("GET", "/v1/models")
    assert lines == []
