"""Rarer states of a server: answers of others, failures meanwhile, tokens that cannot be."""

import re

import pytest
from playwright.sync_api import expect
from tests.explorer.conftest import explorer_app
from tests.explorer.faults import Cut, Gate, Refusal
from tests.explorer.reading import TEXT, WORDS, alert, explanation, paste, token
from tests.explorer.talking import Talking, text_of
from tests.serving.client.served import served, wait_until

EXPLAINS, READS = "/v1/roundtrip", "/v1/tokens"
LAST = len(WORDS)
TOKEN = "a token"


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2026 07:28:00 GMT", "0"])
def test_a_busy_server_that_says_no_time_is_not_flooded(opened, fake, after) -> None:
    page = opened(fake.url, expects=["status of 429"])
    fake.refuse(READS, 429, Retry_After=after)
    page.get_by_role("textbox", name="Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Read it").click()
    expect(page.locator("#notices")).to_contain_text("Trying again in")
    assert fake.count(READS) == 1
    expect(explanation(page)).to_have_text(text_of(LAST, 0))


def test_an_answer_of_something_in_between_is_said_too(opened, fake) -> None:
    page = opened(fake.url, expects=["status of 502"])
    fake.add(READS, Refusal(502, {"message": "Bad Gateway"}))
    page.get_by_role("textbox", name="Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Read it").click()
    expect(alert(page, "The server answered 502")).to_be_visible()


def test_what_fails_in_a_stream_is_said_where_it_is_picked_meanwhile(opened, fake) -> None:
    """The last token is asked for alone, all others after it in one request."""
    page = opened(fake.url, expects=["ERR_INCOMPLETE_CHUNKED_ENCODING"])
    fake.hold(EXPLAINS).open()
    gate = Gate(0)
    fake.add(EXPLAINS, Cut(after=4, gate=gate))
    paste(page, TEXT)
    wait_until(lambda: gate.num_waiting)
    token(page, 0).click()
    expect(page.locator(".panel .pending")).to_have_text("speaks of")
    gate.open()
    expect(alert(page, "in the middle of a stream")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(explanation(page)).to_have_text(text_of(0, 0))


def test_what_is_drawn_can_be_stopped_and_its_work_ends(opened, fake) -> None:
    page = opened(fake.url)
    fake.hold(EXPLAINS).open()
    gate = fake.hold(EXPLAINS, after=4)
    paste(page, TEXT)
    wait_until(lambda: gate.num_waiting)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Explain the other 12 tokens").click()
    expect(token(page, 3)).to_have_attribute("aria-label", re.compile("FVE"))


def test_a_token_that_no_header_can_carry_is_not_sent(opened) -> None:
    with served(explorer_app({"toy": Talking()}, {}, TOKEN)) as url:
        page = opened(url, expects=["status of 401"])
        field = page.get_by_role("dialog", name="Token").get_by_label("Token")
        field.fill("a t\u00f6ken")
        field.press("Enter")
        expect(field).to_be_visible()
        assert field.evaluate("(field) => !field.checkValidity()")
        page.close()


def test_who_looks_for_the_token_may_take_long(opened) -> None:
    with served(explorer_app({"toy": Talking()}, {}, TOKEN)) as url:
        page = opened(url, path="icon.svg", expects=["status of 401", "status of 403"])
        page.clock.install()
        page.goto(f"{url}/explorer/")
        field = page.get_by_role("dialog", name="Token").get_by_label("Token")
        expect(field).to_be_visible()
        for given in ("another", TOKEN):
            page.clock.fast_forward("10:00")
            field.fill(given)
            field.press("Enter")
        expect(page.get_by_role("textbox", name="Text", exact=True)).to_be_visible()
        page.close()


def test_where_nothing_is_open_that_is_said(opened) -> None:
    with served(explorer_app({}, {})) as url:
        page = opened(url, expects=["exception"])
        expect(alert(page, "nothing to explore")).to_be_visible()
        page.close()


def test_what_the_av_did_not_close_is_no_explanation(opened, fake) -> None:
    fake.backend.says = lambda place, sample: None
    page = opened(fake.url)
    paste(page, TEXT)
    expect(page.locator(".panel .explanation")).to_contain_text("did not close its tag")
    expect(token(page, LAST)).to_have_class(re.compile("failed"))


def test_a_stream_that_ends_too_early_is_said(opened, fake) -> None:
    page = opened(fake.url)
    fake.add(EXPLAINS, Cut(after=4, is_clean=True))
    paste(page, TEXT)
    expect(alert(page, "before its end")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
