"""What an eye sees of everything that Read can show, at all widths, light and dark."""

import pytest
from playwright.sync_api import expect
from tests.explorer.browser import SCREENS
from tests.explorer.measures import assert_readable
from tests.explorer.reading import TEXT, WORDS, explanation, paste, token
from tests.explorer.talking import text_of


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_an_explanation_with_its_samples_can_be_read(opened, fake, width, scheme) -> None:
    page = opened(fake.url, width=width, scheme=scheme)
    paste(page, TEXT)
    page.get_by_label("Texts").select_option(label="4 samples")
    expect(page.locator(".samples li").nth(3)).to_contain_text(text_of(len(WORDS), 3))
    expect(page.get_by_role("img", name="This explanation scores")).to_be_visible()
    page.get_by_text("The systems beside it").click()
    page.wait_for_load_state("networkidle")
    assert_readable(page, f"explained-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_long_words_texts_and_names_can_be_read(opened, fake, width, scheme) -> None:
    word = "Donaudampfschifffahrtsgesellschaft" * 6
    fake.backend.says = lambda place, sample: f"{word} {'and much more of it ' * 40}{word}"
    page = opened(fake.url, width=width, scheme=scheme)
    paste(page, f"{word} {TEXT} {word}")
    expect(explanation(page)).to_be_visible()
    page.get_by_label("Texts").select_option(label="4 samples")
    expect(page.locator(".samples li").nth(3)).to_contain_text("much more")
    page.wait_for_load_state("networkidle")
    assert_readable(page, f"long-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_an_empty_page_its_help_and_its_inputs_can_be_read(opened, fake, width, scheme) -> None:
    page = opened(fake.url, width=width, scheme=scheme)
    expect(page.get_by_role("button", name="Read it")).to_be_visible()
    assert_readable(page, f"empty-{width}-{scheme}")
    for kind in ("Chat", "Vector"):
        page.get_by_role("tab", name=kind).click()
        assert_readable(page, f"{kind.lower()}-{width}-{scheme}")
    page.get_by_role("button", name="Keys and words").click()
    assert_readable(page, f"help-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_what_is_compared_and_what_went_wrong_can_be_read(opened, fake, width, scheme) -> None:
    page = opened(fake.url, width=width, scheme=scheme, expects=["status of 500"])
    paste(page, TEXT)
    expect(explanation(page)).to_be_visible()
    token(page, 1).click()
    token(page, 9).click(modifiers=["Control"])
    expect(page.locator(".picked-list li").nth(1)).to_contain_text(text_of(9, 0))
    page.wait_for_load_state("networkidle")
    assert_readable(page, f"compared-{width}-{scheme}")
    fake.refuse("/v1/roundtrip", 500)
    page.get_by_label("Texts").select_option(label="8 samples")
    expect(page.get_by_role("alert")).to_contain_text("a test says 500")
    assert_readable(page, f"wrong-{width}-{scheme}")
