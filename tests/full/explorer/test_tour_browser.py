"""The tour of a first visit: three notes beside what they are about, once."""

import pytest
from playwright.sync_api import Page, expect
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import Opened
from tests.explorer.faults import Faulty
from tests.explorer.measures import axe, overlaps, screens

LINK = "#t=a+b+c+d"
TITLES = ["The text, as the model reads it", "What the score is worth", "Doubt it"]


def title(page: Page) -> str:
    return page.locator(".tour h2").inner_text()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_three_notes_once_beside_what_they_are_about(
    fake: Faulty, opened: Opened, width, scheme
) -> None:
    page = opened(fake.url, LINK, width=width, scheme=scheme, is_first_visit=True)
    note = page.locator(".tour")
    for number, wanted in enumerate(TITLES):
        expect(note.locator("h2")).to_have_text(wanted)
        expect(note).to_contain_text(f"{number + 1} of 3")
        box, window = note.bounding_box(), page.viewport_size
        assert box and window
        assert box["x"] >= 0 and box["x"] + box["width"] <= window["width"]
        assert box["y"] >= 0 and box["y"] + box["height"] <= window["height"]
        if width == 390:
            assert box["y"] + box["height"] == window["height"] and box["width"] == window["width"]
        expect(page.locator(".tour-target")).to_have_count(1)
        screens(page, f"tour-{number}-{width}-{scheme}")
        assert axe(page) == []
        page.keyboard.press("Enter")
    expect(note).to_have_count(0)
    expect(page.locator(".tour-target")).to_have_count(0)
    assert overlaps(page) == []
    page.reload()
    expect(page.locator(".panel .verdict")).to_be_visible()
    expect(note).to_have_count(0)


def test_a_note_moves_with_what_it_is_about(fake, opened) -> None:
    page = opened(fake.url, LINK + "+word" * 400, width=1024, is_first_visit=True)
    note, target = page.locator(".tour"), page.locator(".tour-target")
    page.get_by_role("button", name="Next").click()
    expect(note.locator("h2")).to_have_text(TITLES[1])

    def apart() -> float:
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => drawn()))")
        of_note, of_target = note.bounding_box(), target.bounding_box()
        assert of_note and of_target
        return of_note["y"] - of_target["y"]

    before = apart()
    page.mouse.move(300, 300)
    page.evaluate("() => scrollBy(0, -40)")
    assert apart() == pytest.approx(before, abs=1)


def test_escape_ends_it_and_the_list_of_keys_shows_it_again(fake, opened) -> None:
    page = opened(fake.url, LINK, is_first_visit=True)
    expect(page.locator(".tour")).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")  # of the dialog, not of the tour
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator(".tour")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tour")).to_have_count(0)
    page.keyboard.press("?")
    page.get_by_role("button", name="Show the tour").click()
    expect(page.locator("dialog")).to_have_count(0)
    assert title(page) == TITLES[0]
    page.get_by_role("button", name="End the tour").click()
    expect(page.locator(".tour")).to_have_count(0)


def test_nobody_is_led_away_from_another_view(fake, opened) -> None:
    page = opened(fake.url, f"{LINK}&v=gallery", is_first_visit=True)
    expect(page.locator(".example-card").first).to_be_visible()
    expect(page.locator(".tour")).to_have_count(0)
    page.get_by_role("button", name="Read", exact=True).click()
    expect(page.locator(".tour")).to_be_visible()
    page.get_by_role("button", name="Gallery").click()
    expect(page.locator(".example-card").first).to_be_visible()
    expect(page.locator(".tour")).to_have_count(0)
    page.keyboard.press("?")
    page.get_by_role("button", name="Show the tour").click()
    expect(page.locator(".tour h2")).to_have_text(TITLES[0])


def test_a_browser_that_remembers_nothing_is_no_trouble(fake, opened) -> None:
    page = opened(fake.url, LINK)
    page.add_init_script(
        """
        for (const name of ["localStorage", "sessionStorage"]) {
          const get = () => { throw new DOMException("refused", "SecurityError"); };
          Object.defineProperty(globalThis, name, { get });
        }"""
    )
    page.goto(f"{fake.url}/explorer/?again{LINK}")
    expect(page.locator(".tour")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_a_link_that_leads_elsewhere_is_followed(fake, opened) -> None:
    page = opened(fake.url, "#v=gallery", is_first_visit=True)
    expect(page.locator(".view[aria-current]")).to_have_text("Gallery")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    assert page.locator(".tour").count() == 0
