"""A client that calls an ASGI app in this process, and may leave in the middle of an answer."""

import asyncio
import json as jsons
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

DONE = b"[DONE]"


@dataclass
class Answer:
    """What an app sent; `chunks` as they came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    is_whole: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def json(self) -> Any:
        return jsons.loads(self.body)

    def events(self) -> list[Any]:
        """The frames of a stream, without the mark of its end; asserts that they are frames."""
        assert self.headers["content-type"].startswith("text/event-stream")
        assert self.body.endswith(b"\n\n")
        frames = self.body.removesuffix(b"\n\n").split(b"\n\n")
        assert all(frame.startswith(b"data: ") and b"\n" not in frame for frame in frames)
        contents = [frame.removeprefix(b"data: ") for frame in frames]
        assert DONE not in contents[:-1]
        return [jsons.loads(content) for content in contents if content != DONE]


@dataclass
class Asgi:
    """`leave_if` is asked, with what came so far, whether the client closes the connection now."""

    app: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> Answer:
        return asyncio.run(self.arequest(method, path, **options))

    async def arequest(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | Sequence[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        leave_if: Callable[[Answer], bool] = lambda _: False,
    ) -> Answer:
        if json is not None:
            body = jsons.dumps(json).encode()
        parts = [body or b""] if body is None or isinstance(body, bytes) else list(body)
        every = {"host": "test", **self.headers, **(headers or {})}
        if json is not None:
            every.setdefault("content-type", "application/json")
        if isinstance(body, bytes):
            every.setdefault("content-length", str(len(body)))
        call = _Call(parts, leave_if)
        try:
            await self.app(scope(method, path, every), call.receive, call.send)
        except Exception:
            if not call.answer.is_whole:  # a server logs what comes behind an answer
                raise
        return call.answer


class _Call:
    def __init__(self, parts: list[bytes], leave_if: Callable[[Answer], bool]) -> None:
        self.answer = Answer()
        self._parts, self._leave_if = parts, leave_if
        self._is_gone = False

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        while not (self._is_gone or self.answer.is_whole or self._leave_if(self.answer)):
            await asyncio.sleep(0.001)
        self._is_gone = True
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if self._is_gone:
            return
        if message["type"] == "http.response.start":
            assert not self.answer.status
            self.answer.status = message["status"]
            pairs = [(name.decode(), value.decode()) for name, value in message["headers"]]
            self.answer.headers = dict(pairs)
        else:
            assert self.answer.status
            if message.get("body"):
                self.answer.chunks.append(bytes(message["body"]))
            self.answer.is_whole = not message.get("more_body", False)


def scope(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """What a server says of a request."""
    plain, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": plain,
        "raw_path": quote(plain).encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
