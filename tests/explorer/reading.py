"""What people do on the page: open a text, pick tokens, wait for an explanation."""

from playwright.sync_api import Locator, Page, expect

TEXT = "the farmer sings at the market, and the baker hears it."
WORDS = ["the", "farmer", "sings", "at", "the", "market", ",", "and", "the", "baker", "hears", "it"]


def paste(page: Page, text: str, timeout: float | None = None) -> None:
    """Read a text, as whoever pastes one."""
    folded = page.get_by_role("button", name="Another text")
    area = page.get_by_role("textbox", name="Text", exact=True)
    expect(folded.or_(area).first).to_be_visible()
    if folded.is_visible():
        folded.click()
    area.fill(text)
    page.get_by_role("button", name="Read it").click()
    expect(strip(page)).to_be_visible(timeout=timeout)


def strip(page: Page) -> Locator:
    """The text, token by token."""
    return page.get_by_role("listbox", name="Tokens")


def token(page: Page, place: int) -> Locator:
    """The token at a position."""
    return strip(page).locator(f'[data-at="{place}"]')


def picked(page: Page) -> list[int]:
    """The positions that are picked."""
    found: list[int] = strip(page).evaluate(
        "(strip) => [...strip.querySelectorAll('[aria-selected=true]')].map((e) => +e.dataset.at)"
    )
    return found


def explanation(page: Page) -> Locator:
    """The explanation that is shown, whole."""
    return page.locator(".panel .explanation[data-status=done]")


def alert(page: Page, words: str) -> Locator:
    """What went wrong, where it did."""
    return page.get_by_role("alert").filter(has_text=words)
