"""A server that is slow, busy, broken or cut off when a test says so, around any app."""

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlingua.serving.backend import Backend

MOST_SECONDS = 60.0  # that a gate stays shut when a test forgets it


@dataclass
class Gate:
    """Answers wait here until it is opened."""

    after: int  # parts of the body that are let through before
    num_waiting: int = 0
    _opened: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        """Let all through that wait here, or will."""
        self._opened.set()

    async def passed(self) -> None:
        self.num_waiting += 1
        try:
            await asyncio.to_thread(self._opened.wait, MOST_SECONDS)
        finally:
            self.num_waiting -= 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of the app's."""

    status: int
    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends behind so many parts; where it is clean, as if that were all."""

    after: int
    is_clean: bool = False
    gate: Gate | None = None  # until it is opened


Fault = Gate | Refusal | Cut


class Faulty:
    """An app whose next answers below a path are faulty; `asked` are paths of all that came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._faults: list[tuple[str, Fault, int]] = []
        self._gates: list[Gate] = []
        self.asked: list[tuple[str, str]] = []
        self.url = ""
        self.backend: Backend | None = None  # where a test changes what it says

    def reset(self) -> None:
        """Answer as the app does, and let go of what waits."""
        for gate in self._gates:
            gate.open()
        self._faults, self._gates, self.asked = [], [], []

    def add(self, path: str, fault: Fault, *, times: int = 1) -> None:
        """The next answers to POST or GET at a path are faulty."""
        self._faults.append((path, fault, times))

    def hold(self, path: str, *, after: int = 0, times: int = 1) -> Gate:
        """Answers wait behind so many parts of their body until the gate is opened."""
        gate = Gate(after)
        self._gates.append(gate)
        self.add(path, gate, times=times)
        return gate

    def refuse(self, path: str, status: int, *, times: int = 1, **headers: str) -> None:
        """Errors in the shape of the platform's API; `Retry_After="3"` is a header."""
        kind = {401: "no_token", 403: "wrong_token", 429: "busy", 500: "internal"}[status]
        content = {"error": {"type": kind, "message": f"a test says {status}", "field": None}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.add(path, Refusal(status, content, named), times=times)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for _, asked in self.asked)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append((scope["method"], scope["path"]))
        match self._taken(scope["path"]):
            case None:
                await self._app(scope, receive, send)
            case Refusal() as refusal:
                await _refused(refusal, receive, send)
            case Gate() as gate:
                await self._app(scope, receive, _held(gate, send))
            case Cut() as cut:
                await self._app(scope, receive, _cut(cut, send))

    def _taken(self, path: str) -> Fault | None:
        for place, (below, fault, times) in enumerate(self._faults):
            if path.startswith(below):
                self._faults[place : place + 1] = [(below, fault, times - 1)] if times > 1 else []
                return fault
        return None


class CutOff(Exception):
    """The server ends a connection, as a test says."""


async def _refused(refusal: Refusal, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body", False):
        pass
    body = json.dumps(refusal.content).encode()
    headers = {"content-type": "application/json", **refusal.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _held(gate: Gate, send: Send) -> Send:
    num_parts = 0

    async def held(message: Message) -> None:
        nonlocal num_parts
        is_start = message["type"] == "http.response.start"
        if num_parts == gate.after and not (is_start and gate.after):
            await gate.passed()
        num_parts += 0 if is_start else 1
        await send(message)

    return held


def _cut(cut: Cut, send: Send) -> Send:
    num_parts = 0

    async def sent(message: Message) -> None:
        nonlocal num_parts
        if message["type"] == "http.response.body":
            num_parts += 1
            if num_parts > cut.after:
                if cut.gate is not None:
                    await cut.gate.passed()
                if cut.is_clean:
                    await send({"type": "http.response.body", "body": b""})
                raise CutOff
        await send(message)

    return sent
