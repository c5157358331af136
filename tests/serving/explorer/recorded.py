"""A recording of a backend without models, on an evaluation that nobody made."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from tests.serving.asgi import Asgi
from tests.serving.explorer.made import stored, stored_evaluation
from tests.serving.fake import FakeBackend, card, host_card

from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.explorer.gallery import recording
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.page import page_folder, page_router
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app
from interlingua.specs.text.canonical import jsonable

NUM_PASSAGES = 24
DIGEST = "f" * 64


def gallery_app(root: Path) -> FastAPI:
    """A server of two bundles whose AVs learned from sentences, and of an evaluation `demo`."""
    passages = stored(root, "passages", "world", {}, spec=jsonable(world_mini().passages))
    folder = stored_evaluation(root, "demo", NUM_PASSAGES, {"passages": passages})
    evaluations = Evaluations({"demo": str(folder)}, {}, most_open=1)
    routers = [EvaluationsApi(evaluations, Limits()).router(), page_router(page_folder())]
    hosts = {tag: replace(host_card(tag), reads="sentence") for tag in ("toy-a", "toy-b")}
    ours = replace(card(digest=DIGEST), hosts=hosts)
    backends = {name: FakeBackend(card=ours) for name in ("toy", "toy-sft")}
    return make_app(backends, Settings(has_access_log=False), routers)


class AskOf:
    """An app, as something to ask; its evaluation is taken for that of the first bundle."""

    def __init__(self, app: FastAPI) -> None:
        self._asgi, self.asked = Asgi(app), []

    def __call__(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        self.asked.append((path, body))
        answer = self._asgi.request("GET" if body is None else "POST", path, json=body)
        assert answer.status == 200, (path, body, answer.body)
        content = answer.json()
        if path == "/v1/evaluations":
            content["data"][0]["bundle"] = "toy"
        return content


def gallery_recording(root: Path) -> tuple[FastAPI, dict[str, Any]]:
    """The server and what is recorded of it."""
    app = gallery_app(root)
    return app, recording(AskOf(app))
