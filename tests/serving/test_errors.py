"""Every error has one shape and its status; none shows what the server is made of."""

import asyncio
import logging
from time import process_time
from typing import Any

import pytest
from fastapi import APIRouter
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.asgi import Answer, Asgi
from tests.serving.fake import HOST, FakeBackend, card
from tests.serving.shared import client

from interlingua.serving.backend import Busy, Limits, NotAvailable, Refused, TimedOut
from interlingua.serving.http.requests import ScoreRequest, VerbalizeRequest
from interlingua.serving.own.app import Settings, make_app

VECTORS = {"host": HOST, "activations": [[0, 3.0, 0, 0]]}
JSON = {"content-type": "application/json"}


def error_of(answer: Answer) -> dict[str, Any]:
    """What went wrong, once it has the one shape."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    error = answer.json()["error"]
    assert {"type", "message", "field"} <= error.keys() <= {"type", "message", "field", "remedy"}
    assert isinstance(error["type"], str) and error["message"]
    assert answer.body.isascii()
    return error


RAISED = [
    (Refused("prefix", "no"), 400, "refused", "no"),
    (Busy(), 429, "busy", "queue"),
    (Busy("1025 rows wait"), 429, "busy", "1025 rows wait"),
    (NotAvailable("the end is cut"), 503, "not_available", "the end is cut"),
    (TimedOut(), 408, "timed_out", "longer"),
    (RuntimeError("secret path"), 500, "internal", "failed"),
    (ValueError("secret path"), 500, "internal", "failed"),
    (KeyError("secret path"), 500, "internal", "failed"),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("raised", "status", "kind", "words"), RAISED, ids=repr)
def test_what_a_bundle_raises_before_anything_is_sent(
    raised, status, kind, words, is_stream, caplog
) -> None:
    asked = VECTORS | {"stream": is_stream}
    answer = client(FakeBackend(raises=raised)).request("POST", "/v1/verbalize", json=asked)
    assert answer.status == status
    error = error_of(answer)
    assert error["type"] == kind and words in error["message"]
    assert error["field"] == ("prefix" if status == 400 else None)
    assert ("retry-after" in answer.headers) == (status == 429)
    assert b"secret" not in answer.body and b"Traceback" not in answer.body
    assert ("secret" in caplog.text) == (status == 500)  # the log has what the client does not get


@pytest.mark.parametrize("route", ["activations", "reconstruct", "roundtrip", "score"])
def test_every_route_gives_what_is_raised_its_status(route) -> None:
    asked = {
        "activations": {"host": HOST, "text": "a"},
        "reconstruct": {"texts": ["a"], "host": HOST},
        "roundtrip": VECTORS,
        "score": VECTORS | {"explanations": ["a"]},
    }[route]
    busy = client(FakeBackend(raises=Busy())).request("POST", f"/v1/{route}", json=asked)
    assert (busy.status, busy.headers["retry-after"]) == (429, "1")
    assert client(FakeBackend()).request("POST", f"/v1/{route}", json=asked).status == 200


SHAPES = [
    ({"n": "3"}, "n", "integer"),
    ({"n": True}, "n", "integer"),
    ({"n": 1.0}, "n", "integer"),
    ({"n": 0}, "n", "greater"),
    ({"temperature": -1}, "temperature", "greater"),
    ({"temperature": 6}, "temperature", "less"),
    ({"temperature": float("nan")}, "temperature", "finite"),
    ({"temperature": 10**400}, "temperature", "number"),
    ({"seed": -1}, "seed", "greater"),
    ({"seed": 2**53}, "seed", "less"),
    ({"max_new_tokens": 0}, "max_new_tokens", "greater"),
    ({"banned": [1, "2"]}, "banned[1]", "integer"),
    ({"banned": [1, -1]}, "banned[1]", "greater"),
    ({"banned": [2**31]}, "banned[0]", "less"),
    ({"stream": "yes"}, "stream", "boolean"),
    ({"text": 3}, "text", "string"),
    ({"texts": ["a", None]}, "texts[1]", "string"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "required"),
    ({"messages": [{"role": "user", "content": "", "x": 1}]}, "messages[0].x", "not permitted"),
    ({"temprature": 1}, "temprature", "not permitted"),
    ({"a" * 5000: 1}, "a" * 1000, "a"),
    ({"vector_form": "list"}, "vector_form", "not permitted"),
]


@pytest.mark.parametrize(("change", "field", "words"), SHAPES, ids=lambda value: ascii(value)[:40])
def test_another_shape_than_a_request_has_is_a_422(change, field, words) -> None:
    answer = client(FakeBackend()).request("POST", "/v1/verbalize", json=VECTORS | change)
    assert answer.status == 422
    error = error_of(answer)
    assert (error["type"], error["field"]) == ("invalid", field)
    assert words in error["message"] and "openapi" in error["remedy"]
    assert len(answer.body) < 4000


BODIES: list[tuple[bytes, dict[str, str], int]] = [
    (b"{", JSON, 422),
    (b'{"a": 1}}', JSON, 422),
    (b"", JSON, 422),
    (b"[]", JSON, 422),
    (b"null", JSON, 422),
    (b"7", JSON, 422),
    (b"{}", {"content-type": "text/plain"}, 422),
    (b"{}", {}, 422),
    (b"\xff\xfe\xfd", JSON, 400),
    (b"[" * 200_000, JSON, 400),
    (b"1" * 5000, JSON, 400),
    (b"\x00" * 10, JSON, 400),
]


@pytest.mark.parametrize(("body", "headers", "status"), BODIES, ids=lambda one: ascii(one)[:20])
def test_a_body_that_is_no_request_is_named_so(body, headers, status) -> None:
    answer = client(FakeBackend()).request("POST", "/v1/verbalize", body=body, headers=headers)
    assert answer.status == status
    assert error_of(answer)["field"] == "body"


def test_many_errors_are_named_up_to_some() -> None:
    wrong = {"n": "3", "seed": -1, "stream": 7, "prefix": 7, "banned": 7, "text": 7, "texts": 7}
    answer = client(FakeBackend()).request("POST", "/v1/verbalize", json=VECTORS | wrong)
    message = error_of(answer)["message"]
    assert message.count(";") == 5 and message.endswith("and 2 more")


NAMES = ["\ud800", "toy", HOST, "toy-b", "a b", "", " ", "all", "list", "base64", "npy", "shape"]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-3, 6)
    | st.sampled_from([2**63, 10**400, 1e300, 5e-324, 0.5, float("nan"), float("inf")])
    | st.sampled_from(NAMES)
)
VALUES = st.recursive(
    PLAIN,
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "role", "content"]), inside, max_size=3)
    ),
    max_leaves=8,
) | st.sampled_from([[1, 2, 3, 4], [[1, 2, 3, 4]] * 2, ["a b", "c"], [[0], [0, -1]]])
FIELDS = st.sampled_from(sorted({*VerbalizeRequest.model_fields, *ScoreRequest.model_fields}))


@settings(max_examples=250)
@given(
    st.sampled_from(["activations", "verbalize", "reconstruct", "roundtrip", "score"]),
    st.dictionaries(FIELDS, VALUES, max_size=5),
)
def test_no_request_makes_the_server_fail(route, content) -> None:
    asked = {"host": HOST} | content
    answer = client(FakeBackend()).request("POST", f"/v1/{route}", json=asked)
    assert answer.status in (200, 400, 404, 422, 503)
    if answer.status != 200:
        assert error_of(answer)["field"] or answer.status == 503


def test_millions_of_errors_are_found_one_by_one() -> None:
    """Each would take hundreds of bytes to tell."""
    many = 300_000
    for change in (
        {"texts": [0] * many},
        {"banned": ["0"] * many},
        {"messages": [{}] * many},
        {str(number): 0 for number in range(many)},
        {"messages": [{str(number): 0 for number in range(many)}]},
    ):
        begun = process_time()
        answer = client(FakeBackend()).request("POST", "/v1/verbalize", json=VECTORS | change)
        assert answer.status == 422 and len(answer.body) < 1000
        assert process_time() - begun < 2


def test_a_long_text_is_refused_at_once() -> None:
    asked = {"host": HOST, "text": "\N{SNOWMAN}" * 3_000_000}
    begun = process_time()
    answer = client(FakeBackend()).request("POST", "/v1/activations", json=asked)
    assert (answer.status, error_of(answer)["field"]) == (400, "text")
    assert process_time() - begun < 2


def test_where_no_route_is_found() -> None:
    asgi = client(FakeBackend())
    answer = asgi.request("GET", "/v2/\N{SNOWMAN}")
    assert answer.status == 404
    error = error_of(answer)
    assert error["type"] == "not_found" and "/v2/" in error["message"] and error["remedy"]
    wrong = asgi.request("GET", "/v1/verbalize")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert error_of(wrong)["type"] == "method_not_allowed"


def test_a_model_that_is_not_there_is_a_404_that_names_those_that_are() -> None:
    answer = client(FakeBackend()).request(
        "POST", "/v1/verbalize", json=VECTORS | {"model": "other"}
    )
    assert answer.status == 404
    error = error_of(answer)
    assert (error["type"], error["field"]) == ("not_found", "model")
    assert error["message"] == "model is 'other'; here are: toy"
    gone = client(FakeBackend()).request("GET", "/v1/models/other")
    assert (gone.status, error_of(gone)["field"]) == (404, "model")


def test_a_body_that_is_too_large() -> None:
    small = FakeBackend(card=card(limits=Limits(max_body_bytes=100)))
    answer = client(small).request(
        "POST", "/v1/verbalize", body=[b"{" * 60, b"{" * 60], headers=JSON
    )
    assert answer.status == 413
    error = error_of(answer)
    assert (error["type"], error["field"]) == ("too_large", "body")
    assert "100 bytes" in error["message"] and error["remedy"]


def test_routers_of_others_keep_their_shapes() -> None:
    """A plain router answers as FastAPI does, before and behind ours."""
    other = APIRouter()

    @other.post("/other")
    async def double(n: int) -> int:
        return 2 * n

    asgi = Asgi(make_app({}, Settings(), [other]))
    assert asgi.request("POST", "/other?n=2").json() == 4
    answer = asgi.request("POST", "/other?n=x")
    assert answer.status == 422 and answer.json().keys() == {"detail"}


def test_what_nobody_expects_outside_our_routes_is_a_500_that_says_nothing(caplog) -> None:
    other = APIRouter()

    @other.get("/fails")
    async def fails() -> None:
        raise RuntimeError("secret path")

    answer = Asgi(make_app({}, Settings(), [other])).request("GET", "/fails")
    assert answer.status == 500
    assert error_of(answer)["type"] == "internal"
    assert b"secret" not in answer.body and "secret" in caplog.text


@pytest.mark.parametrize("route", ["verbalize", "roundtrip", "activations"])
def test_a_client_that_leaves_stops_what_it_asked_for(route, caplog) -> None:
    class Waits(FakeBackend):
        has_begun = False

        async def _wait(self):
            self.has_begun = True
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            await self._wait()
            yield

        async def read(self, host, prompt, positions, *, whole=False):
            await self._wait()

    async def check() -> None:
        backend = Waits()
        asked = VECTORS if route != "activations" else {"host": HOST, "texts": ["a"]}
        answer = await client(backend).arequest(
            "POST", f"/v1/{route}", json=asked, leave_if=lambda _: backend.has_begun
        )
        assert backend.cancelled == 1  # before the loop ends, which would cancel it anyway
        assert answer.status == 0  # there is nobody
        assert len(asyncio.all_tasks()) == 1

    caplog.set_level(logging.INFO)
    asyncio.run(check())
    assert '"status": 499' in caplog.text and '"is_whole": false' in caplog.text


def test_a_request_that_the_server_cancels_is_stopped_too() -> None:
    """As Ray Serve does it where the client left."""

    class Waits(FakeBackend):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
            yield

    async def check() -> None:
        backend = Waits()
        asked = client(backend).arequest("POST", "/v1/verbalize", json=VECTORS)
        task = asyncio.ensure_future(asked)
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert backend.cancelled == 1
        assert len(asyncio.all_tasks()) == 1

    begun = asyncio.Event()
    asyncio.run(check())
