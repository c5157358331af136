"""Apps behind a real server and real sockets, and what happens to their requests."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.serving.fake import FakeBackend

from interlingua.serving.backend import Backend, Piece
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols import neuronpedia


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: tuple[str, int]

    @property
    def content(self):
        return json.loads(self.body)


@dataclass
class Switch:
    """An app that is another one for each test, behind one server.

    `canned` answers come first, each a status, headers and a body, to a POST alone.
    """

    app: ASGIApp | None = None
    canned: list[tuple[int, Mapping[str, str], bytes]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(Asked(scope["method"], scope["path"], headers, body, scope["client"]))
        if self.canned and scope["method"] == "POST":
            await _answer(send, *self.canned.pop(0))
            return
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        assert self.app is not None
        await self.app(scope, again, send)

    @property
    def posted(self) -> list[Asked]:
        return [one for one in self.asked if one.method == "POST"]

    def of(self, *backends: Backend, **more: Backend) -> str:
        """The URL of the platform's own app over these, the first of them `toy`."""
        first = backends or (FakeBackend(),)
        app, backends_now = _own()
        backends_now.clear()
        backends_now.update({"toy": first[0], **more})
        return self.over(app)

    def over(self, app: ASGIApp) -> str:
        """The URL of an app."""
        self.app, self.canned, self.asked = app, [], []
        return self.url


_made: list[tuple[FastAPI, dict[str, Backend]]] = []


def _own() -> tuple[FastAPI, dict[str, Backend]]:
    if not _made:
        backends: dict[str, Backend] = {}
        _made.append((make_app(backends, Settings()), backends))
    return _made[0]


def neuronpedia_alone(backend: Backend) -> FastAPI:
    """A server that has that protocol and nothing else."""
    app = FastAPI()
    app.state.backends = {"toy": backend}
    app.include_router(neuronpedia.router)
    return app


@contextmanager
def served(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The URL of an app behind a server of its own."""
    config = uvicorn.Config(
        app, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


async def _answer(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


class Endless(FakeBackend):
    """One piece where it is wanted, then none until the client leaves."""

    async def verbalize(self, host, h_ND, sampling, *, wants_partial=True):
        self.asked.append((host, h_ND, sampling))
        try:
            if wants_partial:
                yield Piece(row=0, sample=0, text="first")
            await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
