"""Where the seconds of a served AV go: timers around the parts of its engine. Changes no result."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from interlingua.models.sampling.session import Session
from interlingua.serving.engines.av_engine import AvEngine
from interlingua.serving.engines.host_engine import HostEngine

PATH = "/timers"
TIMED: dict[str, tuple[type, str]] = {
    "reading texts": (HostEngine, "_run"),
    "joining": (Session, "join"),
    "of it, caches": (Session, "_add"),
    "steps": (Session, "step"),
    "pieces": (AvEngine, "_deliver"),
}


class Timers:
    """Seconds and counts by part, from now on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds: dict[str, float] = defaultdict(float)
        self.counts: dict[str, int] = defaultdict(int)
        for name, (owner, method) in TIMED.items():
            setattr(owner, method, self._timed(name, getattr(owner, method)))
        self._count_rows()
        self._time_queue()

    def add(self, name: str, seconds: float, count: int = 1) -> None:
        """Add to a part."""
        with self._lock:
            self.seconds[name] += seconds
            self.counts[name] += count

    def route(self) -> Route:
        """GET: what there is so far; and everything begins again."""

        async def read(request: Request) -> JSONResponse:
            with self._lock:
                content = {"seconds": dict(self.seconds), "counts": dict(self.counts)}
                self.seconds.clear()
                self.counts.clear()
            return JSONResponse(content)

        return Route(PATH, read)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Time from the first byte of a request in the app to the last of its answer."""

        async def timed(scope: Scope, receive: Receive, send: Send) -> None:
            begun = time.perf_counter()
            await app(scope, receive, send)
            if scope["type"] == "http" and scope["path"] != PATH:
                self.add("in the app", time.perf_counter() - begun)

        return timed

    def _timed(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.add(name, time.perf_counter() - begun)

        return timed

    def _count_rows(self) -> None:
        step = Session.step

        def counted(session: Session) -> Any:
            self.add("rows of steps", 0.0, len(session))
            return step(session)

        Session.step = counted  # type: ignore[method-assign]

    def _time_queue(self) -> None:
        """Time from a request's submission until its rows are taken out of the queue."""
        submit, taken, cancel = AvEngine.submit, AvEngine._taken, AvEngine.cancel
        begun: dict[int, float] = {}
        drawing: dict[int, float] = {}

        def submitted(engine: AvEngine, request: Any) -> None:
            begun[id(request)] = time.perf_counter()
            submit(engine, request)

        def took(engine: AvEngine) -> Any:
            rows, now = taken(engine), time.perf_counter()
            for request in {row.request for row in rows}:
                self.add("in the queue", now - begun.pop(id(request), now))
                drawing[id(request)] = now
            return rows

        def cancelled(engine: AvEngine, request: Any) -> None:  # also at a request's own end
            now = time.perf_counter()
            self.add("drawn", now - drawing.pop(id(request), now))
            cancel(engine, request)

        AvEngine.submit = submitted  # type: ignore[method-assign]
        AvEngine._taken = took  # type: ignore[method-assign]
        AvEngine.cancel = cancelled  # type: ignore[method-assign]
