"""A server of bundles and evaluations in this process, for as long as something is asked of it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import uvicorn

from interlingua.serving.backend import Limits
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app

STEP_S = 0.01  # between two looks whether it has started


@contextmanager
def server_of(bundles: Mapping[str, str], evaluations: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server on this machine alone, at a port that is free."""
    limits = Limits()
    with ExitStack() as opened:
        backends = {}
        for name, folder in bundles.items():
            backends[name] = opened_backend(folder, limits=limits)
            opened.callback(backends[name].close)
        known = Evaluations(evaluations, bundles, most_open=len(evaluations) or 1)
        routers = [EvaluationsApi(known, limits).router()]
        app = make_app(backends, Settings(has_access_log=False), routers)
        yield opened.enter_context(
            _served(uvicorn.Config(app, port=0, log_config=None, log_level="warning"))
        )


@contextmanager
def _served(config: uvicorn.Config) -> Iterator[str]:
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(STEP_S)
        if not server.started:
            raise RuntimeError("no server could be started on this machine")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
