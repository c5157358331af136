"""The explorer's page in Chromium, over engines of this process or a backend without models."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.explorer.browser import CHROMIUM, HEIGHTS, PHONE, opened_browser
from tests.explorer.calling import Code
from tests.explorer.faults import Faulty
from tests.explorer.talking import Talking
from tests.explorer.watching import Watch
from tests.serving.client.served import served
from tests.skipping import lacking

from interlingua.commands.using.serve import evaluations_served
from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Backend, Limits
from interlingua.serving.engines.local import opened_backend
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.page import page_folder, page_router
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.routers import every_router
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
# What the page remembers of who was here: no tour begins then.
VISITED = "try { localStorage.setItem('tour', 'seen') } catch {}"
Opened = Callable[..., Page]


@pytest.fixture(scope="module")  # its loop is this thread's as long as it is open
def chromium() -> Iterator[Browser]:
    """A browser."""
    if CHROMIUM is None:
        lacking("no chromium here: the explorer was not opened in a browser")
    with sync_playwright() as playwright:
        browser = opened_browser(playwright)
        yield browser
        browser.close()


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Servers of one test: they end behind its pages."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def opened(chromium, servers) -> Iterator[Opened]:
    """Open a page of a server; what the browser complains of must be what a test expects."""
    watches: list[Watch] = []
    contexts = []

    def open_page(
        url: str,
        path: str = "",
        *,
        width: int = 1440,
        scheme: str = "light",
        expects: Sequence[str] = (),
        is_first_visit: bool = False,
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHTS[width]},
            color_scheme=scheme,
            has_touch=width == PHONE,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if not is_first_visit:
            context.add_init_script(VISITED)
        page = context.new_page()
        watches.append(Watch(url, [*expects]))
        watches[-1].over(page)
        page.goto(f"{url}/explorer/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [problem for watch in watches for problem in watch.problems()] == []


@pytest.fixture(scope="module")
def called(chromium) -> Iterator[Code]:
    """The page's own code."""
    page = chromium.new_context().new_page()
    with served(explorer_app({}, {})) as url:
        page.goto(f"{url}/explorer/icon.svg")
        yield Code(page)
        page.context.close()


def explorer_app(
    backends: dict[str, Backend], bundles: dict[str, str], token: str | None = None
) -> Faulty:
    """The app that people are given, which fails when a test says so.

    Of bundles by their folders the evaluations of their run roots are served, too.
    """
    evaluations = Evaluations(evaluations_served([], bundles), bundles, most_open=2)
    stored = EvaluationsApi(evaluations, Limits()).router()
    routers = [*every_router(), stored, page_router(page_folder())]
    return Faulty(make_app(backends, Settings(token=token), routers))


@pytest.fixture(scope="session")
def bundle(mini_nla_root) -> Path:
    """The folder of the bundle of world_mini."""
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "bundle")
    path: Path = find(stage, mini_nla_root).path
    return path


@pytest.fixture(scope="session")
def engines(bundle) -> Iterator[Backend]:
    """Its models, in threads of this process."""
    backend = opened_backend(bundle, limits=Limits())
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def mini_server(engines, bundle) -> Iterator[Faulty]:
    """A server of that bundle and its evaluation; `url` is its address."""
    app = explorer_app({"mini": engines}, {"mini": str(bundle)})
    with served(app) as app.url:
        yield app
        app.reset()


@pytest.fixture
def mini(mini_server, servers) -> Faulty:
    """The same, without faults when a test begins."""
    servers.callback(mini_server.reset)
    made: Faulty = mini_server
    return made


@pytest.fixture(scope="session")
def fake_server() -> Iterator[tuple[Faulty, dict[str, Backend]]]:
    """A server of the backend that each test gives: an app takes long to make."""
    backends: dict[str, Backend] = {}
    app = explorer_app(backends, {})
    with served(app) as app.url:
        yield app, backends


@pytest.fixture
def fake(fake_server, servers) -> Faulty:
    """A server without models, whose texts are known; `backend` may be made to say others."""
    app: Faulty
    app, backends = fake_server
    app.backend = backends["toy"] = Talking()
    servers.callback(app.reset)
    return app
