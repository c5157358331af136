"""Who may ask, how much, and what is written down of it: plain ASGI, so that streams stay streams.

Nothing here reads a text: a line of the log has a path, a status, sizes and the name of a bundle.
"""

import hmac
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlingua.serving.http.errors import CLIENT_LEFT, Fault, answer_before, fault_of

logger = logging.getLogger("interlingua.access")

NOTES = "interlingua.notes"  # of a scope
OPEN_PATHS = {"/healthz"}  # for probes, which have no token
LONGEST_PATH = 200
BEARER = "bearer "
SEND_TOKEN = "send the header Authorization: Bearer TOKEN, or X-SECRET-KEY: TOKEN"


class OpenRoute(APIRoute):
    """A route that holds no secret: it is answered without the token, too."""


@dataclass(slots=True)
class Notes:
    """What a route knows of a request, for log and metrics."""

    bundle: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that is over."""

    method: str
    path: str
    route: str | None  # with its parameters as they are written in code; None: there is none
    status: int
    seconds: float
    bytes_in: int
    bytes_out: int
    is_whole: bool  # whether the client was there until the end
    bundle: str | None
    rows: int


def notes_of(scope: Scope) -> Notes:
    """Where a route writes what log and metrics shall know."""
    notes: Notes = scope.setdefault(NOTES, Notes())
    return notes


def log_line(exchange: Exchange) -> None:
    """Write one line of JSON, in which no path can begin a line of its own."""
    content = {
        "method": exchange.method,
        "path": exchange.path[:LONGEST_PATH],
        "status": exchange.status,
        "ms": round(1000 * exchange.seconds, 1),
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
        "is_whole": exchange.is_whole,
        "bundle": exchange.bundle,
    }
    logger.info(json.dumps(content))


class Observed:
    """Calls observers with every request that is over, however it ended."""

    def __init__(self, app: ASGIApp, observers: Sequence[Callable[[Exchange], None]]) -> None:
        self.app, self.observers = app, observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, notes, counted = perf_counter(), notes_of(scope), _Counted(receive, send)
        try:
            await self.app(scope, counted.receive, counted.send)
        except Exception:
            counted.status = counted.status or 500
            raise
        finally:
            exchange = Exchange(
                method=scope["method"],
                path=scope["path"],
                route=_route_of(scope),
                status=counted.status or CLIENT_LEFT,
                seconds=perf_counter() - begun,
                bytes_in=counted.bytes_in,
                bytes_out=counted.bytes_out,
                is_whole=counted.is_whole,
                bundle=notes.bundle,
                rows=notes.rows,
            )
            for observer in self.observers:
                observer(exchange)


class TokenCheck:
    """Lets in who has the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS
        fault = None if is_open else self._fault(Headers(scope=scope))
        if fault is not None and scope["type"] == "http" and _is_for_all(scope):
            fault = None
        if fault is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer_before(scope, fault)(scope, receive, send)

    def _fault(self, headers: Headers) -> Fault | None:
        given = [headers[name] for name in ("x-secret-key",) if name in headers]
        bearer = headers.get("authorization", "")
        if bearer.lower().startswith(BEARER):
            given.append(bearer[len(BEARER) :].strip())
        if not given:
            challenge = (("WWW-Authenticate", "Bearer"),)
            return Fault(
                status=401,
                type="no_token",
                message="a token is needed",
                remedy=SEND_TOKEN,
                headers=challenge,
            )
        # In bytes, which are as the client sent them; the time of it says nothing of the token.
        matches = [hmac.compare_digest(one.encode("latin-1"), self._token) for one in given]
        if any(matches):
            return None
        return Fault(status=403, type="wrong_token", message="the token is wrong")


class BodyLimit:
    """Turns away bodies that are too large, also where none said how large they would be.

    Not starlette's: the limit is that of the bundles which are open now, and the error has our
    shape.
    """

    def __init__(self, app: ASGIApp, max_bytes: Callable[[], int]) -> None:
        self.app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, num_bytes = self._max_bytes(), 0
        error = HTTPException(413, f"the body is longer than {most} bytes")

        async def limited() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > most:
                raise error  # where the body is read: the route gives it its protocol's shape
            return message

        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            await answer_before(scope, fault_of(error))(scope, receive, send)
        else:
            await self.app(scope, limited, send)


class _Counted:
    """`receive` and `send` of a request, and what went through them."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = self.bytes_in = self.bytes_out = 0
        self.is_whole = False
        self._has_left = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        self._has_left = message["type"] == "http.disconnect"
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.bytes_out += len(message.get("body", b""))
            self.is_whole = not (self._has_left or message.get("more_body", False))
        await self._send(message)


def _is_for_all(scope: Scope) -> bool:
    """Whether the route that will answer is an open one: asked of the routes, not of a path.

    What a path begins with says little: a server may lie below one, and the first route answers.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    for context in iter_route_contexts(scope["app"].routes):
        is_method = context.methods is None or scope["method"] in context.methods
        if is_method and context.path_regex.match(path):
            return isinstance(context.original_route, OpenRoute)
    return False


def _route_of(scope: Scope) -> str | None:
    route = scope.get("route")
    return route.path if isinstance(route, Route) else None
