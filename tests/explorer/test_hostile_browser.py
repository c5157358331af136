"""Texts and links of any kind are shown as they are, token by token, and are never markup."""

import json
import urllib.request
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from tests.explorer.conftest import explorer_app
from tests.explorer.reading import TEXT, WORDS, explanation, paste, picked, strip
from tests.explorer.talking import Talking
from tests.serving.client.served import served

MARKUP = (
    '<b>bold</b> </textarea><script>window.ran = 1</script><img src=x onerror="window.ran = 1">'
    "<svg onload=window.ran=1> &amp;&lt;&#x41; ]]> <!-- {{7*7}} ${7*7} javascript:window.ran=1"
)
RIGHT_TO_LEFT = (
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd, \u0645\u0631\u062d\u0628\u0627 123 "
    "\u202eabc\u202c \u2067def\u2069"
)
EMOJI = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1f8\U0001f1ee "
    "\u270b\U0001f3fd \U0001f600x"
)
CHINESE = "\u4ed6\u5f88\u9ad8\u5174\u3002\u5929\u6c14\u5f88\u597d\uff0c\u8d70\u5427\u3002\U00020bb7"
MARKS = "e\u0301 a\u0323\u0302 Z\u0351\u036b\u0343\u036a\u0302\u036b\u1100\u1161\u11a8 \ufb01"
SPACES = "\n\n\ta \t b  c\n \u00a0\u2003\u200b\ufeff\u2028d\n\n"
ODD = "\x01\x7f\x85 \ufffd \ue000 \U0010ffff 'quoted' \"twice\" `ticks` \\n %00 %3Cb%3E"
PASSAGE = "\n".join([MARKUP, RIGHT_TO_LEFT, EMOJI, CHINESE, MARKS, SPACES, ODD])
THRICE = (PASSAGE + " ") * 3  # more than a link holds as it is
HOSTS = ["toy-qwen3-1p7b", "toy-gpt2-medium", "toy-lfm-7b"]

SHOWN = """(strip) => [...strip.childNodes].filter((one) => !one.classList?.contains("special"))
  .map((one) => one.textContent).join("")"""
SPANS = """(strip) => [...strip.querySelectorAll(".token")]
  .map((one) => [Number(one.dataset.at), one.dataset.before + one.textContent])"""
MADE = """() => [window.ran ?? null,
  document.querySelectorAll("#main :is(script, img, b, iframe, [onload], [onerror])").length]"""


def tokens_of(url: str, host: str, text: str) -> list[dict]:
    """What the server says of a text."""
    body = json.dumps({"host": host, "text": text}).encode()
    request = urllib.request.Request(f"{url}/v1/tokens", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict] = json.load(answer)["data"][0]["tokens"]
    return found


def assert_shown(page: Page, url: str, host: str, text: str) -> None:
    """The text as it is, cut where the server cuts it; nothing was made of it."""
    expect(strip(page)).to_be_visible()
    assert strip(page).evaluate(SHOWN) == text
    tokens = [one for one in tokens_of(url, host, text) if one["fragment_index"] == 0]
    spans = dict(strip(page).evaluate(SPANS))
    assert [*spans] == [one["position"] for one in tokens]
    for one in tokens:
        if one["end"] > one["start"]:
            assert spans[one["position"]] == text[one["start"] : one["end"]], one
    assert page.evaluate(MADE) == [None, 0]


@pytest.mark.slow
def test_a_pasted_text_is_shown_as_it_is(opened, mini) -> None:
    page = opened(mini.url)
    paste(page, PASSAGE)
    for host in HOSTS:
        page.get_by_label("Host").select_option(host)
        expect(page.locator(".panel-head")).to_contain_text(host)
        assert_shown(page, mini.url, host, PASSAGE)
        expect(page.locator(".panel .explanation:not(.pending)")).to_be_visible()
        assert page.evaluate(MADE) == [None, 0]
    paste(page, THRICE)
    page.wait_for_function("() => location.hash.includes('t.z=')")
    assert_shown(page, mini.url, host, THRICE)


def test_a_text_of_a_link_is_shown_as_it_is(opened, fake) -> None:
    text = f"{PASSAGE}\r\nwith a carriage return\x00 and zero"
    page = opened(fake.url, f"#t={quote(text[:500])}")
    assert_shown(page, fake.url, "toy-a", text[:500])
    follow(page, f"t={quote(text)}")
    expect(strip(page)).to_contain_text("with a carriage return")
    assert_shown(page, fake.url, "toy-a", text)


def test_an_explanation_is_text_whatever_it_is(opened, fake) -> None:
    fake.backend.says = lambda place, sample: PASSAGE.strip()
    page = opened(fake.url)
    paste(page, TEXT)
    expect(explanation(page)).to_be_visible()
    assert explanation(page).evaluate("(shown) => shown.textContent") == PASSAGE.strip()
    page.get_by_label("Texts").select_option(label="4 samples")
    sample = page.locator(".sample-text").nth(3)
    expect(sample).to_contain_text("quoted")
    assert sample.evaluate("(shown) => shown.textContent") == PASSAGE.strip()
    assert page.evaluate(MADE) == [None, 0]


def test_names_and_errors_are_text_whatever_they_are(opened) -> None:
    backend = Talking(raises=RuntimeError(MARKUP))
    with served(explorer_app({MARKUP: backend}, {})) as url:
        page = opened(url, expects=["status of 500"])
        expect(page.get_by_label("Bundle")).to_contain_text("</textarea>")
        page.get_by_role("textbox", name="Text", exact=True).fill(TEXT)
        page.get_by_role("button", name="Read it").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.evaluate("() => window.ran ?? null") is None
        assert page.locator("img, b").count() == 0
        page.close()


LINKS = {
    "s=9-3": [3, 4, 5, 6, 7, 8, 9],
    "s=3-99": [len(WORDS)],
    "s=99": [len(WORDS)],
    "s=-1": [len(WORDS)],
    "s=x": [len(WORDS)],
    "s=4:4": [len(WORDS)],
    "s=4&v=nowhere&h=nobody&b=none": [4],
    "s=4&x.n=-3": [4],
    "s=4&x.n=many&x.sample=-9": [4],
    "s=4&x.n=4&x.sample=99": [4],
    "s=4&m=[{]": [4],
    "s=4&x.mark=9-3&x.z=%%%&%ff=%ff": [4],
}


def test_a_link_that_cannot_be_shows_what_of_it_can(opened, fake) -> None:
    page = opened(fake.url)
    for number, (fragment, positions) in enumerate(LINKS.items()):
        text = f"{TEXT} {number}"  # another text each time, so that it is this link that is shown
        follow(page, f"t={quote(text)}&{fragment}")
        expect(strip(page)).to_have_text(text)
        expect(explanation(page)).to_be_visible()
        last = [len(WORDS) + 1] if positions == [len(WORDS)] else positions
        assert picked(page) == last, fragment
        expect(page.locator(".panel")).not_to_contain_text("NaN")


def follow(page: Page, fragment: str) -> None:
    """Open another link of the page, as whoever edits its address."""
    page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
