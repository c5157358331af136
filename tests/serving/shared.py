"""One app for many tests, which takes longer to make than most of them: its bundles come and go."""

from collections.abc import Mapping
from functools import cache

from tests.serving.asgi import Asgi

from interlingua.serving.backend import Backend
from interlingua.serving.own.app import Settings, make_app


def client(backends: Mapping[str, Backend] | Backend) -> Asgi:
    """A client of the app, which has these bundles from now on, or one that is called toy."""
    open_now, asgi = _shared()
    open_now.clear()
    open_now.update(backends if isinstance(backends, Mapping) else {"toy": backends})
    return asgi


@cache
def _shared() -> tuple[dict[str, Backend], Asgi]:
    backends: dict[str, Backend] = {}
    return backends, Asgi(make_app(backends, Settings()))
