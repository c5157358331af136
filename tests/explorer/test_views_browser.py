"""Every view once, over a bundle and its evaluation; in detail they are in tests/full/explorer."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.explorer.browser import PHONE
from tests.explorer.measures import assert_readable, overlaps, screens
from tests.explorer.reading import TEXT, WORDS, explanation, paste, strip
from tests.explorer.talking import text_of

WIDE = 1440


def settled(page: Page, name: str) -> None:
    """Nothing is asked any more, and all of it can be read."""
    page.wait_for_load_state("networkidle")
    if page.viewport_size["width"] == WIDE:  # axe finds there what it finds on a phone
        screens(page, name)
        assert overlaps(page) == []
    else:
        assert_readable(page, name)


def turn(page: Page, view: str) -> None:
    """Go to a view, by the bar."""
    button = page.get_by_role("navigation", name="Views").get_by_role("button", name=view)
    button.click()
    expect(button).to_have_attribute("aria-current", "page")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_every_view_of_a_bundle_is_there_and_can_be_read(opened, mini, width, scheme) -> None:
    page = opened(mini.url, width=width, scheme=scheme)
    expect(page.locator(".panel .explanation:not(.pending)")).to_be_visible()
    example = strip(page).inner_text()
    settled(page, f"read-{width}-{scheme}")
    turn(page, "Find")
    rows = page.locator(".found-item")
    expect(rows.first).to_be_visible()
    if width == PHONE:  # where there is space, the first is open
        rows.first.locator(".found-row").click()
    expect(page.locator(".found-beside").first).to_be_visible()
    settled(page, f"find-{width}-{scheme}")
    turn(page, "Compare")
    expect(page.get_by_label("Side A")).to_be_visible()
    settled(page, f"compare-{width}-{scheme}")
    turn(page, "Gallery")
    expect(page.locator(".gallery-head")).to_be_visible()
    settled(page, f"gallery-{width}-{scheme}")
    turn(page, "Read")
    assert strip(page).inner_text() == example


def test_an_explanation_with_its_samples_can_be_read(opened, fake) -> None:
    page = opened(fake.url, width=1024, scheme="dark")
    paste(page, TEXT)
    page.get_by_label("Texts").select_option(label="4 samples")
    expect(page.locator(".samples li").nth(3)).to_contain_text(text_of(len(WORDS), 3))
    expect(page.get_by_role("img", name="This explanation scores")).to_be_visible()
    page.get_by_text("The systems beside it").click()
    settled(page, "explained-1024-dark")


def test_an_explanation_is_doubted_and_taken_along(opened, fake) -> None:
    page = opened(fake.url)
    paste(page, TEXT)
    expect(explanation(page)).to_have_text(text_of(len(WORDS), 0))
    parts = page.locator(".doubt-part")
    expect(parts).to_have_count(2)
    expect(parts.nth(0).locator(".number")).not_to_be_empty()
    page.get_by_role("button", name="Link", exact=True).click()
    link = page.get_by_role("textbox", name="Link")
    expect(link).to_have_value(re.compile(f"^{re.escape(fake.url)}/explorer/#"))
    page.goto(link.input_value())
    expect(explanation(page)).to_have_text(text_of(len(WORDS), 0))
    page.get_by_role("button", name="Raw", exact=True).click()
    expect(page.get_by_text("Asked again just now: the same explanation")).to_be_visible()
