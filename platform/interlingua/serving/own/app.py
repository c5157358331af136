"""The app: this API, routers of other protocols, and who may ask. Knows no model and no Ray.

app = make_app({"demo": backend}, Settings(token="..."))    # then: uvicorn, Ray Serve, a test
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from interlingua.serving.backend import Backend, Limits
from interlingua.serving.http.access import BodyLimit, Observed, TokenCheck, log_line
from interlingua.serving.http.errors import answer_outside, json_response
from interlingua.serving.http.metrics import Metrics
from interlingua.serving.own.routes import OwnApi

DESCRIPTION = (
    "Activations of language models to texts and back. Vectors are lists, base64 of fp32 with a "
    "shape, or base64 of a .npy file; only their direction counts. Every error has one shape, and "
    "names the field."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who may ask, and what is written down. Without origins no page of another one may."""

    token: str | None = None
    origins: tuple[str, ...] = ()
    has_access_log: bool = True

    def __post_init__(self) -> None:
        if self.token is not None and not (self.token.isascii() and self.token.strip()):
            raise ValueError("token must be of ASCII characters, and not empty; None: no token")


def make_app(
    backends: Mapping[str, Backend], settings: Settings, routers: Sequence[APIRouter] = ()
) -> FastAPI:
    """The app over bundles by name, the first of them the default.

    The mapping is read at every request, so that bundles may come and go. `routers` come before
    what is here.
    """
    metrics = Metrics()
    app = FastAPI(
        title="Interlingua",
        version="1",
        description=DESCRIPTION,
        redoc_url=None,
        exception_handlers={HTTPException: answer_outside, Exception: answer_outside},
    )
    app.state.metrics, app.state.backends = metrics, backends
    for router in (*routers, OwnApi(backends).router()):
        app.include_router(router)

    async def healthz() -> Response:
        """Answers while models are at work: nothing of them is asked."""
        return json_response({"status": "ok", "models": list(backends)})

    def max_bytes() -> int:
        every = [backend.card.limits.max_body_bytes for backend in list(backends.values())]
        return max(every, default=Limits().max_body_bytes)

    app.add_api_route("/healthz", healthz, include_in_schema=False)
    app.add_api_route("/metrics", metrics.page, include_in_schema=False)
    app.add_middleware(BodyLimit, max_bytes=max_bytes)
    _guard(app, settings, metrics)
    return app


def _guard(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Put who may ask, and what is written down, around an app."""
    # What is added last sees a request first.
    if settings.token is not None:
        app.add_middleware(TokenCheck, token=settings.token)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-SECRET-KEY"],
        )
    observers = [metrics.count, log_line] if settings.has_access_log else [metrics.count]
    app.add_middleware(Observed, observers=observers)
