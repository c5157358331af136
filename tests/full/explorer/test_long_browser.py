"""The page with the longest text that a server takes, and with a visitor who does not stop."""

import random
from urllib.parse import quote

from playwright.sync_api import expect
from tests.explorer.reading import TEXT, WORDS, explanation, paste, picked, strip, token
from tests.explorer.talking import text_of
from tests.explorer.test_hostile_browser import HOSTS, PASSAGE, assert_shown, follow

from interlingua.serving.backend import Limits

LONG = (PASSAGE + " ") * (20_000 // len(PASSAGE) + 1)
NUM_ACTS, NUM_ROUNDS = 200, 15
MOST_GROWTH = 1.5  # of the page's memory and nodes, from one long use to the next


def test_the_longest_text_that_a_server_takes_is_shown(opened, fake) -> None:
    text = "." * Limits().max_input_chars
    page = opened(fake.url)
    page.set_default_timeout(120_000)
    paste(page, text, timeout=120_000)
    assert_shown(page, fake.url, "toy-a", text)
    token(page, 3).click()
    expect(explanation(page)).to_have_text(text_of(3, 0), timeout=120_000)


def test_a_text_of_20000_characters_is_shown_as_it_is_and_fits_in_a_link(opened, mini) -> None:
    page = opened(mini.url, f"#h={HOSTS[1]}")
    paste(page, LONG)
    assert_shown(page, mini.url, HOSTS[1], LONG)
    page.wait_for_function("() => location.hash.includes('t.z=')")
    page.reload()
    assert_shown(page, mini.url, HOSTS[1], LONG)


def test_whatever_is_clicked_in_whatever_order_nothing_breaks(opened, fake) -> None:
    """Without waiting for anything: what is drawn meanwhile must not be shown in a wrong place."""
    page, drawn = opened(fake.url), random.Random(3)
    paste(page, TEXT)
    acts = [
        lambda place: token(page, place).click(),
        lambda place: token(page, place).click(modifiers=["Shift"]),
        lambda place: token(page, place).click(modifiers=["Control"]),
        lambda place: strip(page).press(drawn.choice(["ArrowLeft", "ArrowRight", "Home", "End"])),
        lambda place: strip(page).press(drawn.choice(["Shift+ArrowLeft", "Shift+ArrowRight"])),
        lambda place: page.get_by_label("Texts").select_option(str(drawn.choice([1, 4, 8]))),
        lambda place: page.go_back() if place > 9 else None,
        lambda place: page.reload() if place == 0 else None,
    ]
    for _ in range(NUM_ACTS):
        drawn.choice(acts)(drawn.randrange(len(WORDS)))
        if strip(page).count() == 0:
            page.goto(f"{fake.url}/explorer/")
            paste(page, TEXT)
    page.get_by_label("Texts").select_option("1")
    token(page, 5).click()
    expect(explanation(page)).to_have_text(text_of(5, 0))
    assert picked(page) == [5]


def test_a_page_that_is_used_for_long_does_not_grow(opened, fake) -> None:
    page = opened(fake.url)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def size() -> dict[str, float]:
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        found = {one["name"]: one["value"] for one in metrics}
        return {name: found[name] for name in ("JSHeapUsedSize", "Nodes", "JSEventListeners")}

    def use() -> None:
        for number in range(NUM_ROUNDS):
            paste(page, f"{TEXT} {number}")
            expect(explanation(page)).to_be_visible()
            page.get_by_label("Texts").select_option("4")
            expect(page.locator(".samples li").nth(3)).to_contain_text("sample d")
            page.wait_for_load_state("networkidle")

    use()
    first = size()
    use()
    second = size()
    assert all(second[name] < MOST_GROWTH * first[name] for name in first), (first, second)


def test_a_packed_text_that_is_broken_shows_no_text(opened, fake) -> None:
    page = opened(fake.url, f"#t={quote(TEXT)}")
    for packed in ("zzzz", "%00", "A" * 999, "__--"):
        expect(strip(page)).to_be_visible()
        follow(page, f"t.z={packed}")
        expect(page.get_by_role("textbox", name="Text", exact=True)).to_be_visible()
        paste(page, TEXT)
    expect(explanation(page)).to_have_text(text_of(len(WORDS), 0))
    token(page, 1).click()
    expect(explanation(page)).to_have_text(text_of(1, 0))
