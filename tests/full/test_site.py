"""The documentation site: built as `make docs` builds it, then every page opened from disk."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.explorer.browser import CHROMIUM, HEIGHTS, PHONE, opened_browser
from tests.explorer.measures import axe, overlaps, screens
from tests.explorer.watching import Watch
from tests.skipping import lacking

REPOSITORY = Path(__file__).parents[2]
DOCS_READY = ".venv-docs/.ready"
DOCS_PYTHON = REPOSITORY / ".venv-docs" / "bin" / "python"
SCHEMES = ("light", "dark")
WIDER = """() => [...document.querySelectorAll(".md-content table")]
  .filter((table) => table.parentElement.scrollWidth > table.parentElement.clientWidth + 1)
  .map((table) => table.innerText.slice(0, 60))"""
LINKS = """() => [...document.querySelectorAll("a[href]")].map((link) => link.href)"""
IDS = """() => [...document.querySelectorAll("[id]")].map(({ id }) => id)"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site in a folder of the test; a warning of the build ends it."""
    folder = tmp_path_factory.mktemp("site")
    make = ["make", DOCS_READY, f"PYTHON={sys.executable}"]  # what is there is not made again
    assert subprocess.run(make, cwd=REPOSITORY).returncode == 0
    for command in (
        [sys.executable, "docs/tools/made.py", "build/docs"],
        [DOCS_PYTHON, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
    ):
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{REPOSITORY / 'platform'}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        lacking("no chromium here: the site was not opened in a browser")
    with sync_playwright() as playwright:
        found = opened_browser(playwright)
        yield found
        found.close()


def pages(site: Path) -> list[Path]:
    return sorted(path for path in site.rglob("*.html") if path.name != "404.html")


def opened(page: Page, path: Path) -> Page:
    page.goto(path.as_uri())
    page.evaluate("document.fonts.ready")
    return page


def test_the_site_asks_no_server_for_anything(site):
    assert len(pages(site)) > 30
    asked = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?https?:""")
    assert not [path for path in pages(site) if asked.search(path.read_text())]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", HEIGHTS)
def test_every_page_can_be_read(width, scheme, site, browser):
    size = {"width": width, "height": HEIGHTS[width]}
    page = browser.new_page(viewport=size, color_scheme=scheme)
    watch, problems = Watch("file://"), {}
    watch.over(page)
    for path in pages(site):
        opened(page, path)
        name = path.relative_to(site).as_posix()
        found = overlaps(page)
        if width != PHONE:  # there a table may be scrolled in itself
            found += [f"a table is cut: {text}" for text in page.evaluate(WIDER)]
        if found:
            problems[name] = found
        screens(page, f"site-{width}-{scheme}-{name.replace('/', '-')}")
    page.close()
    assert problems == {} and watch.problems() == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pages_can_be_used_by_everybody(scheme, site, browser):
    page = browser.new_page(color_scheme=scheme)
    for name in ("index", "notebook", "two-minutes", "reference/python", "troubleshooting"):
        assert axe(opened(page, site / f"{name}.html")) == [], name
    page.close()


def test_every_link_of_the_site_leads_somewhere(site, browser):
    page = browser.new_page()
    ids: dict[Path, set[str]] = {}
    wanted: list[tuple[Path, Path, str]] = []
    for path in pages(site):
        opened(page, path)
        ids[path] = set(page.evaluate(IDS))
        for link in page.evaluate(LINKS):
            if link.startswith("file://"):
                target, _, anchor = link.removeprefix("file://").partition("#")
                wanted.append((path, Path(target), anchor))
    page.close()
    missing = [
        (path.name, target.name, anchor)
        for path, target, anchor in wanted
        if not target.exists() or (anchor and anchor not in ids.get(target, {anchor}))
    ]
    assert len(wanted) > 500 and missing == []


@pytest.mark.parametrize("width", [1440, PHONE])
def test_the_search_finds_a_page_from_disk(width, site, browser):
    page = browser.new_page(viewport={"width": width, "height": HEIGHTS[width]})
    opened(page, site / "index.html")
    if width == PHONE:
        page.locator("label[for=__search].md-header__button").click()
    page.locator("input.md-search__input").press_sequentially("greedy text is one")
    first = page.locator(".md-search-result__link").first
    first.wait_for()
    assert "troubleshooting" in first.get_attribute("href")
    page.close()


def test_the_index_of_the_search_has_every_page(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {one["location"].partition("#")[0] for one in index["docs"]}
    assert {path.relative_to(site).as_posix() for path in pages(site)} <= found | {"index.html"}
