"""The page as people see it: at every width, light and dark; terms, heads of tables, files."""

import csv
import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.explorer.browser import CHROMIUM, HEIGHTS, SCREENS, opened_browser
from tests.explorer.measures import axe, overlaps, screens
from tests.skipping import lacking

pytestmark = pytest.mark.slow
WIDE, PHONE = 1440, 390
ASKED = ((WIDE, "light"), (PHONE, "dark"))  # what axe looks at takes seconds a page
VERDICT = "The NLA against trivial systems"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        lacking("no chromium here: the report was not opened in a browser")
    with sync_playwright() as playwright:
        browser = opened_browser(playwright)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, made_once) -> Iterator:
    """Open the page from disk; whatever the browser complains of fails the test."""
    folder, _ = made_once(True, is_rewarded=True)
    seen, contexts = [], []

    def open_page(width: int = WIDE, scheme: str = "light", **options) -> Page:
        size = {"width": width, "height": HEIGHTS[width]}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: seen.append(message.text))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.goto((folder / "report.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_everything_can_be_read(opened, width, scheme) -> None:
    page = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    screens(page, f"report-{width}-{scheme}")
    assert overlaps(page) == []
    if (width, scheme) in ASKED:
        assert axe(page) == []


def test_no_table_is_wider_than_a_desk(opened) -> None:
    wide = "[...document.querySelectorAll('.grid .scroll')].filter((e) => e.clientWidth &&"
    wide += " e.scrollWidth > e.clientWidth).map((e) => e.getAttribute('aria-label'))"
    assert opened(WIDE).evaluate(wide) == []
    # On a phone they are, and move inside their own boxes.
    assert len(opened(PHONE).evaluate(wide)) > 3


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_a_link_to_a_section_shows_its_title(opened, width) -> None:
    page = opened(width)
    page.locator("nav a[href='#gates']").click()
    bar, title = page.locator("nav"), page.locator("#gates h2")
    expect(title).to_be_in_viewport(ratio=1)
    assert title.bounding_box()["y"] >= bar.bounding_box()["y"] + bar.bounding_box()["height"]


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_head_of_a_table_stays_while_its_rows_pass(opened, width) -> None:
    page = opened(width)
    table = page.locator("figure.grid", has=page.get_by_text("Published decoder fits")).first
    if not table.count():
        table = page.locator("#hosts figure.grid").first
    last, head = table.locator("tbody tr").last, table.locator("thead th").first
    last.scroll_into_view_if_needed()
    page.mouse.wheel(0, 60)
    expect(head).to_be_in_viewport()
    bar = page.locator("nav").bounding_box()
    assert head.bounding_box()["y"] >= bar["y"] + bar["height"] - 1 or width == PHONE


def test_a_term_has_its_meaning_under_pointer_and_focus(opened) -> None:
    page = opened()
    tip, term = page.get_by_role("tooltip"), page.locator(".lead a.term", has_text="anchor").first
    expect(tip).to_be_hidden()
    term.hover()
    expect(tip).to_contain_text("The host whose own space is the shared one")
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    term.focus()
    expect(tip).to_be_visible()
    assert term.get_attribute("aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#term-anchor")).to_be_in_viewport()


def test_a_term_has_its_meaning_after_a_tap(opened) -> None:
    page = opened(PHONE, has_touch=True, is_mobile=True)
    page.locator(".lead a.term", has_text="anchor").first.tap()
    expect(page.get_by_role("tooltip")).to_contain_text("The host whose own space")
    assert "#" not in page.url  # the tap went nowhere
    box = page.get_by_role("tooltip").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE


def saved(page: Page, figure: str, button: str) -> str:
    """The file that a button of a table or a figure saves."""
    own = page.locator("figure", has=page.get_by_role("heading", name=figure, exact=True)).first
    with page.expect_download() as download:
        own.get_by_role("button", name=button).click()
    return download.value.path().read_text()


def test_a_table_is_saved_with_its_full_precision(opened) -> None:
    page = opened()
    found = list(csv.reader(io.StringIO(saved(page, VERDICT, "CSV"))))
    head, first = found[0], found[1]
    assert head[:4] == ["system", "fve_centred_own", "fve_centred_own low", "fve_centred_own high"]
    cell = page.locator(".lead table data").first
    names = ("data-value", "data-low", "data-high")
    assert first[1:4] == [cell.get_attribute(name) for name in names]
    assert first[4:] == ["", "", ""] and len({len(row) for row in found}) == 1


def test_a_table_is_saved_for_a_paper(opened) -> None:
    page = opened()
    text = saved(page, VERDICT, "LaTeX")
    for part in (
        "\\begin{tabular}{lrr}",
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
        "fve\\_centred",
    ):
        assert part in text
    body = text[text.index("\\toprule") :]
    assert re.search(r"\$-\$0\.\d\d \{\\footnotesize \[\$-\$0", body)
    assert len({line.count(" & ") for line in body.splitlines() if line.endswith("\\\\")}) == 1


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50% & $1 #2 a_b", r"50\% \& \$1 \#2 a\_b"),
        ("a\\b {c} ~ ^", r"a\textbackslash{}b \{c\} \textasciitilde{} \textasciicircum{}"),
        ("x < y > z | w", r"x \textless{} y \textgreater{} z \textbar{} w"),
    ],
)
def test_what_latex_would_obey_is_escaped(opened, text, escaped) -> None:
    page = opened()
    write = "(text) => { document.querySelector('.lead tbody th').textContent = text; }"
    page.evaluate(write, text)
    assert f"  {escaped} & " in saved(page, VERDICT, "LaTeX")


def test_a_text_that_a_spreadsheet_would_run_is_saved_as_text(opened) -> None:
    page = opened()
    page.evaluate("document.querySelector('.lead tbody th').textContent = '=1+1, \"x\"'")
    assert list(csv.reader(io.StringIO(saved(page, VERDICT, "CSV"))))[1][0] == '\'=1+1, "x"'


def test_a_figure_is_saved_in_the_colours_of_paper(opened) -> None:
    title = "FVE per host, with baselines"
    texts = {saved(opened(WIDE, scheme), title, "SVG") for scheme in ("light", "dark")}
    (text,) = texts  # the same, whatever the reader's screen
    drawing = ElementTree.fromstring(text)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg" and drawing.get("width")
    assert "var(" not in text and "#1f2328" in text
