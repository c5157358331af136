"""What an eye sees: nothing lies on anything else, and all of it can be read, wide and narrow."""

import pytest
from playwright.sync_api import expect
from tests.explorer.browser import PHONE
from tests.explorer.measures import assert_readable
from tests.explorer.reading import TEXT, WORDS, paste
from tests.explorer.talking import text_of

WIDE = 1440


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "dark"), (1024, "light"), (PHONE, "light")])
def test_an_explanation_with_its_samples_can_be_read(opened, fake, width, scheme) -> None:
    page = opened(fake.url, width=width, scheme=scheme)
    paste(page, TEXT)
    page.get_by_label("Texts").select_option(label="4 samples")
    expect(page.locator(".samples li").nth(3)).to_contain_text(text_of(len(WORDS), 3))
    expect(page.get_by_role("img", name="This explanation scores")).to_be_visible()
    page.get_by_text("The systems beside it").click()
    page.wait_for_load_state("networkidle")
    assert_readable(page, f"explained-{width}-{scheme}")
