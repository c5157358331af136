"""What an endpoint does when a server is busy, wrong, gone or slow, and when it is to stop."""

import os
import pickle
import signal
import socket
import threading
import time

import numpy as np
import pytest
from starlette.responses import HTMLResponse, RedirectResponse
from tests.serving.client.served import Endless, served, wait_until
from tests.serving.fake import HOST, WIDTH, FakeBackend

from interlingua.serving.backend import Refused
from interlingua.serving.client.endpoint import Endpoint
from interlingua.serving.client.errors import EndpointError
from interlingua.serving.client.patience import seconds_of
from interlingua.serving.own.app import Settings, make_app

H_ND = np.eye(WIDTH)
BUSY = b'{"error": {"type": "busy", "message": "the queue is full", "field": null}}'


def text(drawn):
    return drawn[0][0].explanation


def test_a_busy_server_is_asked_again_when_it_says(switch):
    endpoint = Endpoint(switch.of(FakeBackend()))
    switch.canned = [(429, {"retry-after": "0.2"}, BUSY), (429, {"Retry-After": "0.3"}, BUSY)]
    begun = time.monotonic()
    assert text(endpoint.verbalize(H_ND, HOST)) == "place 0 sample 0"
    assert 0.5 <= time.monotonic() - begun < 20
    assert len({one.body for one in switch.posted}) == 1 and len(switch.posted) == 3
    assert len({one.client for one in switch.posted}) == 1


def test_a_server_that_is_not_available_is_asked_again_after_longer_and_longer(switch):
    endpoint = Endpoint(switch.of(FakeBackend()))
    switch.canned = [(503, {}, b"<p>no replica</p>"), (503, {"retry-after": "soon"}, b"")]
    begun = time.monotonic()
    assert text(endpoint.verbalize(H_ND, HOST)) == "place 0 sample 0"
    assert 0.75 <= time.monotonic() - begun < 20


def test_patience_ends(switch):
    endpoint = Endpoint(switch.of(FakeBackend()), patience_s=0.5)
    switch.canned = [(429, {"retry-after": "0.2"}, BUSY)] * 10
    begun = time.monotonic()
    with pytest.raises(EndpointError, match="queue is full; asked 3 times.* patience of 0.5 s"):
        endpoint.verbalize(H_ND, HOST)
    assert 0.4 <= time.monotonic() - begun < 20
    switch.canned = [(429, {"retry-after": "60"}, BUSY)]
    with pytest.raises(EndpointError, match="asked 1 times") as raised:
        endpoint.verbalize(H_ND, HOST)
    assert raised.value.status == 429
    switch.canned = [(503, {}, b"")] * 10
    with pytest.raises(EndpointError, match="/v1/reconstruct answered 503: no reason was given"):
        endpoint.reconstruct(["a"], HOST)


def test_the_seconds_of_a_header():
    assert (seconds_of("3"), seconds_of("-1"), seconds_of(None)) == (3, 0, None)
    assert seconds_of("nan") is seconds_of("inf") is seconds_of("in a while") is None
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    assert 98 < seconds_of(then) <= 100


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            b'{"error": {"type": "refused", "message": "too long", "field": "texts[3]",'
            b' "remedy": "cut it"}}',
            "too long; cut it (field: texts[3])",
        ),
        (400, b'{"error": {"message": "n is 9; 8 is most", "field": "n"}}', "n is 9; 8 is most"),
        (400, b'{"detail": "positions: too many"}', "positions: too many"),
        (
            422,
            b'{"detail": [{"loc": ["body", "n", 2], "msg": "no number", "type": "int"}]}',
            "no number (field: n.2)",
        ),
        (500, b"Internal Server Error", "Internal Server Error"),
        (408, b'{"error": {"message": "it took too long", "field": null}}', "it took too long"),
        (413, b"\xff\x00", "\ufffd\x00"),
        (418, b'{"error": {"message": 3}}', '{"error": {"message": 3}}'),
    ],
)
def test_other_errors_are_raised_as_the_server_words_them(switch, status, body, expected):
    endpoint = Endpoint(switch.of(FakeBackend()))
    switch.canned = [(status, {}, body)]
    with pytest.raises(EndpointError) as raised:
        endpoint.verbalize(H_ND, HOST)
    assert str(raised.value) == f"{switch.url}/v1/verbalize answered {status}: {expected}"
    assert raised.value.status == status and len(switch.posted) == 1


def test_the_error_of_one_request_of_many_says_which_and_ends_the_others(switch):
    class Picky(Endless):
        async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
            if h_ND[0, 1] != 0:
                wait_for = len(self.asked)
                assert wait_for <= 4
                raise Refused("activations[5]", "row 5 of activations breaks the model")
            async for piece in super().verbalize(host, h_ND, sampling):
                yield piece

    h_ND = np.tile(H_ND[0], (1000, 1))
    h_ND[128, 1] = 1
    backend = Picky()
    endpoint = Endpoint(switch.of(backend), concurrency=3)
    with pytest.raises(EndpointError) as raised:
        endpoint.verbalize(h_ND, HOST)
    assert raised.value.field == "activations[5]"
    assert str(raised.value).endswith(
        "row 5 of activations breaks the model (in the request of rows 128 to 191) "
        "(field: activations[5])"
    )
    assert len(backend.asked) <= 4
    wait_until(lambda: backend.cancelled == len(backend.asked))


@pytest.mark.parametrize("num_rows", [1, 200], ids=["one request", "several"])
def test_ctrl_c_ends_what_the_server_does(switch, num_rows):
    backend = Endless()
    endpoint = Endpoint(switch.of(backend))

    def interrupt():
        wait_until(lambda: len(backend.asked) == -(-num_rows // 64))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        endpoint.verbalize(np.ones((num_rows, WIDTH)), HOST)
    thread.join()
    wait_until(lambda: backend.cancelled == len(backend.asked))
    assert not [one for one in threading.enumerate() if one.name.startswith("endpoint")]


def test_ctrl_c_ends_a_long_pause(switch):
    endpoint = Endpoint(switch.of(FakeBackend()))
    switch.canned = [(429, {"retry-after": "100"}, BUSY)] * 4

    def interrupt():
        wait_until(lambda: len(switch.posted) == 4)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        endpoint.verbalize(np.ones((1000, WIDTH)), HOST)
    thread.join()


def test_an_answer_that_takes_too_long_is_an_error(switch):
    backend = Endless()
    endpoint = Endpoint(switch.of(backend), timeout_s=0.3)
    with pytest.raises(EndpointError, match="no answer came within 0.3 s"):
        endpoint.verbalize(H_ND, HOST)
    wait_until(lambda: backend.cancelled == 1)
    with pytest.raises(EndpointError, match="the stream broke off: TimeoutError"):
        endpoint.verbalize(H_ND, HOST, on_token=lambda *one: None)
    assert len(backend.asked) == 2


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_dead_server_is_an_error_at_once_and_one_that_dies_is_waited_for():
    port = free_port()
    begun = time.monotonic()
    with pytest.raises(EndpointError, match=f"127.0.0.1:{port}/v1/models: it cannot be reached"):
        Endpoint(f"http://127.0.0.1:{port}")
    assert time.monotonic() - begun < 20  # far from its patience
    app = make_app({"toy": FakeBackend()}, Settings())
    with served(app, port) as url:
        endpoint = Endpoint(url, patience_s=0)
        patient = Endpoint(url, patience_s=20)
    with served(app, port):  # the connection that was kept is closed; no patience is needed
        assert text(endpoint.verbalize(H_ND, HOST)) == "place 0 sample 0"
    with pytest.raises(EndpointError, match="cannot be reached.*patience of 0 s") as raised:
        endpoint.verbalize(H_ND, HOST)
    assert raised.value.status is None
    drawn = []
    waiting = threading.Thread(target=lambda: drawn.extend(patient.verbalize(H_ND, HOST)))
    waiting.start()
    time.sleep(0.3)
    assert not drawn
    with served(app, port):
        waiting.join(20)
    assert text(drawn) == "place 0 sample 0"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("127.0.0.1:8000", "url is '127.0.0.1:8000'; it must be like http://"),
        ("ftp://127.0.0.1", "it must be like http://"),
        ("http://", "it must be like http://"),
        ("http://me:hunter2@127.0.0.1", "url has a user, a query or a fragment"),
        ("http://127.0.0.1/?token=hunter2", "url has a user, a query or a fragment"),
    ],
)
def test_what_is_no_address_is_said(url, expected):
    with pytest.raises(ValueError, match=expected) as raised:
        Endpoint(url)
    assert "hunter2" not in str(raised.value)


def test_an_address_of_something_else_is_said(switch):
    url = switch.of(FakeBackend())
    with pytest.raises(EndpointError, match="neither /v1/models nor / answers as an NLA's") as one:
        Endpoint(url + "/v1")
    assert one.value.url == url + "/v1"
    with pytest.raises(EndpointError, match="neither /v1/models nor / answers"):
        Endpoint(switch.over(HTMLResponse("<h1>hello</h1>")))
    with pytest.raises(EndpointError, match="answered 307: it is at https://elsewhere.example"):
        Endpoint(switch.over(RedirectResponse("https://elsewhere.example")))


def test_a_token_is_needed_where_the_server_has_one(switch, monkeypatch):
    url = switch.over(make_app({"toy": FakeBackend()}, Settings(token="hunter2")))
    with pytest.raises(EndpointError, match="401: .* or in INTERLINGUA_TOKEN"):
        Endpoint(url)
    with pytest.raises(EndpointError, match="403: the token is wrong") as raised:
        Endpoint(url, token="hunter3")
    assert "hunter" not in str(raised.value)
    endpoint = Endpoint(url, token="hunter2")
    assert text(endpoint.verbalize(H_ND, HOST)) == "place 0 sample 0"
    assert "hunter" not in repr(endpoint)
    monkeypatch.setenv("INTERLINGUA_TOKEN", "hunter2")
    assert text(Endpoint(url).verbalize(H_ND, HOST)) == "place 0 sample 0"
    for token in ("", "a\r\nb", "\u20ac"):
        with pytest.raises(ValueError, match="token must be of printable ASCII"):
            Endpoint(url, token=token)


def test_an_error_crosses_processes():
    error = EndpointError("http://a", "no", 400, "n")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.field) == ("http://a answered 400: no (field: n)", "n")
