"""A text is opened and its tokens are picked, by mouse, finger and keys."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.explorer.browser import PHONE
from tests.explorer.reading import TEXT, WORDS, explanation, paste, picked, strip, token
from tests.explorer.talking import text_of

NAME = """(e) => `${e.tagName} ${e.id} ${e.className} `
  + `${e.getAttribute("aria-label") ?? e.textContent.slice(0, 30)}`"""
FOCUSED = f"""() => {{
  const name = {NAME};
  const e = document.activeElement, style = getComputedStyle(e);
  return [name(e), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}}"""
USABLE = f"""() => {{
  const name = {NAME};
  const usable = "a[href], button, select, input, textarea, summary, .strip";
  const all = document.querySelectorAll(usable);
  return [...all].filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0).map(name);
}}"""
LAST = len(WORDS)  # the full stop behind the last word


@pytest.fixture
def page(opened, fake) -> Page:
    """The page with a text."""
    page: Page = opened(fake.url)
    paste(page, TEXT)
    return page


def test_what_is_first_painted_is_timed(opened, fake, capsys) -> None:
    page = opened(fake.url)
    name = "first-contentful-paint"
    page.wait_for_function("(name) => performance.getEntriesByName(name).length", arg=name)
    took = page.evaluate("(name) => performance.getEntriesByName(name)[0].startTime", name)
    print(f"first contentful paint: {took:.0f} ms")
    assert took > 0 and "ms" in capsys.readouterr().out


def test_the_last_token_is_explained_at_once_and_any_that_is_clicked(page) -> None:
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    assert picked(page) == [LAST]
    expect(strip(page)).to_have_text(TEXT)
    token(page, 5).click()
    expect(explanation(page)).to_have_text(text_of(5, 0))
    expect(page.locator(".panel h2")).to_contain_text("market")
    assert picked(page) == [5]
    page.reload()
    expect(explanation(page)).to_have_text(text_of(5, 0))
    token(page, 7).click(modifiers=["Shift"])  # from what the link picked
    assert picked(page) == [5, 6, 7]


def test_a_span_that_is_clicked_with_shift_or_dragged_is_its_mean(page) -> None:
    token(page, 2).click()
    token(page, 4).click(modifiers=["Shift"])
    assert picked(page) == [2, 3, 4]
    expect(explanation(page)).to_have_text(text_of(3, 0))
    token(page, 9).drag_to(token(page, 5))
    assert picked(page) == [5, 6, 7, 8, 9]
    expect(explanation(page)).to_have_text(text_of(7, 0))
    assert page.evaluate("getSelection().toString()") == ""


def test_two_tokens_are_compared_by_their_difference(page) -> None:
    token(page, 1).click()
    token(page, 9).click(modifiers=["Control"])
    assert picked(page) == [1, 9]
    expect(explanation(page)).to_have_text(text_of(9, 0))
    items = page.locator(".picked-list li")
    expect(items).to_have_count(2)
    expect(items.nth(0)).to_contain_text(text_of(1, 0))
    expect(items.nth(1)).to_contain_text(text_of(9, 0))
    token(page, 1).click(modifiers=["Control"])
    assert picked(page) == [9]


def test_a_chat_and_a_vector_are_explained_too(opened, fake) -> None:
    page = opened(fake.url, expects=["status of 400"])
    page.get_by_role("tab", name="Vector").click()
    vector = page.get_by_role("textbox", name="Vector")
    for given, words in (("[1, 2]", "It has 2 numbers"), ("[1, 2", ""), ("[0, 0, 0, 0]", "zero")):
        vector.fill(given)
        page.get_by_role("button", name="Explain it").click()
        problem = page.get_by_role("alert").filter(has_text=re.compile(r"\w"))
        expect(problem).to_contain_text(words)
    vector.fill("[5, 1, 1, 1]")
    page.get_by_role("button", name="Explain it").click()
    expect(explanation(page)).to_have_text(text_of(5, 0))
    page.get_by_role("tab", name="Chat").click()
    page.get_by_role("textbox", name="Message 1").fill("the farmer")
    page.get_by_role("button", name="Add a message").click()
    page.get_by_role("textbox", name="Message 2").fill("sings")
    page.keyboard.press("Control+Enter")
    expect(strip(page)).to_have_text("the farmer\nsings")
    expect(explanation(page)).to_have_text(text_of(3, 0))


def test_a_finger_picks_a_token_and_extends_it(opened, fake) -> None:
    page = opened(fake.url, width=PHONE)
    paste(page, TEXT)
    token(page, 3).tap()
    expect(explanation(page)).to_have_text(text_of(3, 0))
    page.get_by_role("button", name="Extend to a tap").tap()
    token(page, 5).tap()
    assert picked(page) == [3, 4, 5]


def test_all_of_it_is_done_without_a_mouse(opened, fake) -> None:
    page = opened(fake.url)
    keys = page.keyboard
    expect(page.get_by_role("button", name="Read it")).to_be_visible()
    keys.press("/")
    keys.type(TEXT)
    keys.press("Control+Enter")
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    keys.press("t")
    expect(strip(page)).to_be_focused()
    keys.press("ArrowLeft")
    expect(explanation(page)).to_have_text(text_of(LAST - 1, 0))
    keys.press("Home")
    keys.press("ArrowRight")
    keys.press("Shift+ArrowRight")
    keys.press("Shift+ArrowRight")
    assert picked(page) == [1, 2, 3]
    expect(explanation(page)).to_have_text(text_of(2, 0))
    keys.press("End")
    assert picked(page) == [LAST]
    for _ in range(3):
        keys.press("Shift+ArrowLeft")
    assert picked(page) == [LAST - 3, LAST - 2, LAST - 1, LAST]
    keys.press("Shift+ArrowRight")
    assert picked(page) == [LAST - 2, LAST - 1, LAST]
    keys.press("?")
    dialog = page.get_by_role("dialog", name="Keys and words")
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_have_count(0)


def test_everything_that_can_be_used_is_reached_by_tab_and_is_seen_to_be(page) -> None:
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    expect(page.get_by_text("The systems beside it")).to_be_visible()  # the last thing to arrive
    page.get_by_role("link", name="Skip to the text").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # by keys: a browser marks no focus that a script sets
    reached: list[str] = []
    while len(reached) < 100:
        name, is_seen = page.evaluate(FOCUSED)
        if name.startswith("BODY") or name in reached:  # behind the last, or round again
            break
        assert is_seen, name
        reached.append(name)
        page.keyboard.press("Tab")
    usable = page.evaluate(USABLE)
    assert sorted(set(usable) - set(reached)) == []
