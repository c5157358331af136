"""A server that is slow, busy, broken or gone, or wants a token: what a page says and does."""

from playwright.sync_api import expect
from tests.explorer.conftest import explorer_app
from tests.explorer.faults import Cut
from tests.explorer.reading import TEXT, WORDS, alert, explanation, paste, token
from tests.explorer.talking import Talking, text_of
from tests.serving.client.served import served

EXPLAINS, READS, COMPARES = "/v1/roundtrip", "/v1/tokens", "/v1/controls"
LAST = len(WORDS)
TOKEN = "a token"


def test_texts_are_seen_while_they_are_written_and_each_sample_can_be_shown(opened, fake) -> None:
    page = opened(fake.url)
    gate = fake.hold(EXPLAINS, after=4)
    paste(page, TEXT)
    expect(page.locator(".panel .pending")).to_have_text("speaks of")
    assert gate.num_waiting
    gate.open()
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    page.wait_for_load_state("networkidle")
    gate = fake.hold(EXPLAINS, after=10)
    page.get_by_label("Texts").select_option(label="4 samples")
    samples = page.locator(".samples li")
    expect(samples.nth(0)).to_contain_text(text_of(LAST, 0))
    assert text_of(LAST, 3) not in page.locator(".samples").inner_text()
    gate.open()
    for sample in range(4):
        expect(samples.nth(sample)).to_contain_text(text_of(LAST, sample))
    samples.nth(2).get_by_role("button").click()
    expect(explanation(page)).to_have_text(text_of(LAST, 2))
    page.reload()
    expect(samples).to_have_count(4)


def test_a_busy_server_is_asked_again_when_it_says(opened, fake) -> None:
    page = opened(fake.url, expects=["status of 429"])
    fake.refuse(READS, 429, Retry_After="2")
    page.get_by_role("textbox", name="Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Read it").click()
    notice = page.locator("#notices")
    expect(notice).to_contain_text("Trying again in 2 s")
    expect(notice).to_contain_text("Trying again in 1 s")
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    expect(notice).to_be_empty()
    assert fake.count(READS) == 2


def test_a_server_that_fails_is_said_and_can_be_asked_again(opened, fake) -> None:
    page = opened(fake.url, expects=["status of 500"])
    fake.refuse(READS, 500)
    page.get_by_role("textbox", name="Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Read it").click()
    expect(alert(page, "a test says 500")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    fake.refuse(EXPLAINS, 500)
    page.get_by_label("Texts").select_option(label="4 samples")
    expect(alert(page, "a test says 500")).to_be_visible()
    expect(page.locator(".scores")).to_have_count(0)  # those were of another draw
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".samples li").nth(3)).to_contain_text(text_of(LAST, 3))


def test_without_the_comparison_there_is_still_the_explanation(opened, fake) -> None:
    page = opened(fake.url, expects=["status of 500"])
    fake.refuse(COMPARES, 500)
    paste(page, TEXT)
    expect(alert(page, "a test says 500")).to_be_visible()
    expect(explanation(page)).to_have_text(text_of(LAST, 0))
    alert(page, "a test says 500").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("img", name="This explanation scores")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_stream_that_is_cut_is_said_and_is_begun_again(opened, fake) -> None:
    page = opened(fake.url, expects=["ERR_INCOMPLETE_CHUNKED_ENCODING"])
    fake.add(EXPLAINS, Cut(after=4))
    paste(page, TEXT)
    expect(alert(page, "in the middle of a stream")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(explanation(page)).to_have_text(text_of(LAST, 0))


def test_the_focus_stays_where_it_is_while_things_are_drawn(opened, fake) -> None:
    page = opened(fake.url)
    paste(page, TEXT)
    expect(explanation(page)).to_be_visible()
    page.get_by_label("Texts").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".samples li").nth(3)).to_contain_text(text_of(LAST, 3))
    expect(page.get_by_label("Texts")).to_be_focused()
    sample = page.locator(".samples li").nth(1).get_by_role("button")
    sample.focus()
    page.keyboard.press("Enter")
    expect(explanation(page)).to_have_text(text_of(LAST, 1))
    expect(sample).to_be_focused()


def test_a_server_that_went_away_is_waited_for(opened) -> None:
    app = explorer_app({"toy": Talking()}, {})
    with served(app) as url:
        page = opened(url, expects=["ERR_CONNECTION_REFUSED"])
        paste(page, TEXT)
        expect(explanation(page)).to_have_text(text_of(LAST, 0))
        page.wait_for_load_state("networkidle")
    token(page, 2).click(modifiers=["Shift"])
    expect(page.locator("#notices")).to_contain_text("The server does not answer. Trying again")
    with served(app, port=int(url.rpartition(":")[2])):
        expect(explanation(page)).to_have_text(text_of(7, 0))  # the mean of 2 to 12
        expect(page.locator("#notices")).to_be_empty()
        page.close()


def test_a_token_is_asked_for_until_it_is_right_and_is_not_asked_for_again(opened) -> None:
    with served(explorer_app({"toy": Talking()}, {}, TOKEN)) as url:
        page = opened(url, expects=["status of 401", "status of 403"])
        dialog = page.get_by_role("dialog", name="Token")
        field = dialog.get_by_label("Token")
        expect(dialog).to_contain_text("This server wants a token")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
        field.fill("another")
        field.press("Enter")
        expect(dialog).to_contain_text("That token is wrong")
        field.fill(TOKEN)
        field.press("Enter")
        expect(dialog).to_have_count(0)
        paste(page, TEXT)
        expect(explanation(page)).to_have_text(text_of(LAST, 0))
        assert TOKEN not in page.url and TOKEN not in page.content()
        page.reload()
        expect(explanation(page)).to_have_text(text_of(LAST, 0))
        page.close()
