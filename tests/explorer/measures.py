"""What an eye would see of a page: texts on each other, what some cannot read, and pictures."""

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCREENS = "INTERLINGUA_SCREENS"  # a folder: pictures of what tests open are put there
OVERLAPS = (Path(__file__).parent / "overlaps.js").read_text()
GRAVE = ("serious", "critical")


def overlaps(page: Page) -> list[str]:
    """Texts that are on each other, cut off, or beside the screen."""
    found: list[str] = page.evaluate(OVERLAPS)
    return found


def axe(page: Page) -> list[str]:
    """What axe-core finds that keeps somebody from reading or using the page."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
        for one in violations
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def screens(page: Page, name: str) -> None:
    """A picture of what is on the screen, where a folder for pictures is named."""
    if folder := os.environ.get(SCREENS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


def assert_readable(page: Page, name: str) -> None:
    """Whatever is there can be read, by eyes and by what reads aloud."""
    screens(page, name)
    assert (overlaps(page), axe(page)) == ([], [])
