"""The system's Chromium, as the tests and the bench of the page start it."""

import shutil

from playwright.sync_api import Browser, Playwright

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
)  # fmt: skip
HEIGHTS = {1440: 900, 1024: 768, 390: 844}  # of a screen by its width
PHONE = 390
SCREENS = [(width, scheme) for width in HEIGHTS for scheme in ("light", "dark")]


def opened_browser(playwright: Playwright) -> Browser:
    """A browser with an empty profile."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
