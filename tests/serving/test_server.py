"""Behind a real server and real sockets: frames come as they are made; who leaves is noticed."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

from tests.serving.client.served import Endless, served, wait_until
from tests.serving.fake import HOST, FakeBackend, card

from interlingua.serving.backend import Limits
from interlingua.serving.own.app import Settings, make_app

ASKED = {"host": HOST, "activations": [[0, 3.0, 0, 0]]}
JSON = {"content-type": "application/json"}


@contextmanager
def connected(backend: FakeBackend) -> Iterator[HTTPConnection]:
    """A connection to a server of that backend."""
    with served(make_app({"toy": backend}, Settings())) as url:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        try:
            yield connection
        finally:
            connection.close()


def test_frames_come_as_they_are_made_and_who_leaves_ends_the_source() -> None:
    backend = Endless()
    with connected(backend) as connection:
        connection.request("POST", "/v1/verbalize", json.dumps(ASKED | {"stream": True}), JSON)
        response = connection.getresponse()
        assert response.status == 200
        lines = [response.readline() for _ in range(3)]  # while the source waits
        assert json.loads(lines[2].removeprefix(b"data: "))["text"] == "first"
        assert backend.cancelled == 0
        response.close()
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        wait_until(lambda: backend.cancelled == 1)


def test_who_leaves_before_the_answer_ends_the_source() -> None:
    backend = Endless()
    with connected(backend) as connection:
        connection.request("POST", "/v1/verbalize", json.dumps(ASKED), JSON)
        wait_until(lambda: backend.asked)
        assert backend.cancelled == 0
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        wait_until(lambda: backend.cancelled == 1)


def test_a_connection_serves_one_request_after_the_other_also_after_errors() -> None:
    with connected(FakeBackend()) as connection:
        for content, status in (({}, 400), (ASKED, 200), ({"n": 0}, 422), (ASKED, 200)) * 2:
            connection.request("POST", "/v1/verbalize", json.dumps(content), JSON)
            response = connection.getresponse()
            assert json.loads(response.read()) and response.status == status


def test_a_body_without_a_length_is_cut_at_the_limit() -> None:
    backend = FakeBackend(card=card(limits=Limits(max_body_bytes=100_000)))
    with connected(backend) as connection:
        content = json.dumps(ASKED).encode()
        for num_parts, status in ((10, 200), (110, 413)):
            parts = [content, *[b" " * 1000] * num_parts]
            connection.request("POST", "/v1/verbalize", iter(parts), JSON, encode_chunked=True)
            response = connection.getresponse()
            assert json.loads(response.read()) and response.status == status
