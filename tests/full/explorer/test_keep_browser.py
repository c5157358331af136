"""What people take with them of an explanation: links open as they were made, requests agree."""

import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import explorer_app
from tests.explorer.faults import Faulty
from tests.explorer.measures import axe, overlaps, screens
from tests.explorer.talking import Talking
from tests.explorer.verbose import HEBREW, HOSTILE, TREE, verbose
from tests.serving.client.served import served

from interlingua.serving.explorer.page import page_folder

LONG = " ".join(f"{TREE}{HEBREW} word{n}" for n in range(1450))
TOOL = ".keep-tools button:text-is('{}')"
SHOWN = ".panel .explanation"
LINK = "input[aria-label=Link]"
ASKED_NOW = "text=Asked again just now: the same explanation"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def server(servers) -> Faulty:
    """A server whose explanations are hostile."""
    app = explorer_app({"toy": verbose()}, {})
    app.url = servers.enter_context(served(app))
    return app


def at(**fields: str) -> str:
    return "#" + urlencode(fields)


def linked(page: Page) -> str:
    """The link that the page offers, once it is there."""
    page.wait_for_function(f"document.querySelector('{LINK}').value !== ''")
    return page.input_value(LINK)


def pin(page: Page, comment: str) -> None:
    """Mark the second and third word, and leave a note."""
    page.click(TOOL.format("Link"))
    page.select_option(".keep-part select >> nth=0", "1")
    page.select_option(".keep-part select >> nth=1", "2")
    page.fill("textarea[aria-label=Note]", comment)
    page.keyboard.press("Tab")
    page.wait_for_function("location.hash.includes('x.comment')")


def test_a_link_opens_as_it_was_made(server, opened) -> None:
    comment = f"<b>bold?</b> {HEBREW} {TREE}"
    text = LONG[:20_000]
    page = opened(server.url, at(t=text, s="3"))
    pin(page, comment)
    link, shown = linked(page), page.inner_text(SHOWN)
    assert len(link) < len(text)
    other = opened(server.url, link.partition("/explorer/")[2])
    other.wait_for_selector("mark.pinned")
    assert other.inner_text(".pinned-comment") == comment
    assert other.inner_text(SHOWN) == shown
    assert "".join(other.locator("mark.pinned").all_inner_texts()) == f"3 {TREE}"
    assert other.text_content(".strip") == text
    assert "token 3 of" in other.inner_text(".panel-head")
    assert other.locator(".panel .notice.warn:has-text('This link')").count() == 0


@pytest.mark.parametrize(
    ("digest", "place", "text"),
    [
        ("0123456789ab", 1, ""),
        ("fedcba987654", 1, "with another bundle (fedcba987654; here 0123456789ab); the expl"),
        ("fedcba987654", 3, "another bundle (fedcba987654; here 0123456789ab), and another expl"),
        ("0123456789ab", 3, "with another explanation: the same bundle answers something else"),
    ],
)
def test_a_link_to_what_has_changed_is_open_about_it(server, opened, digest, place, text) -> None:
    seen = hashlib.sha256(f"{digest}\n{HOSTILE.format(place)}".encode()).hexdigest()[:12]
    pins = {"x.mark": "0-5", "x.digest": digest, "x.seen": seen, "x.comment": "see"}
    page = opened(server.url, at(t="one two three", s="1", **pins))
    page.wait_for_selector(".keep")
    notices = page.locator(".panel .notice.warn:has-text('This link')").all_inner_texts()
    assert [text in one for one in notices] == ([True] if text else [])
    # What is marked is marked where the explanation is that of the link.
    assert page.locator("mark.pinned").all_inner_texts() == (["place"] if place == 1 else [])
    assert ["What it marked is not shown." in one for one in notices] == [place == 3] * len(notices)


def test_a_note_is_cut_at_512_characters_and_is_text(server, opened) -> None:
    comment = TREE * 600
    page = opened(server.url, at(t="one two", s="1", **{"x.comment": comment}))
    page.wait_for_selector(".pinned-comment")
    assert page.inner_text(".pinned-comment") == TREE * 512
    page.click(TOOL.format("Link"))
    page.fill("textarea[aria-label=Note]", comment)
    assert page.input_value("textarea[aria-label=Note]") == TREE * 512
    assert page.locator("text=0 characters left").count() == 1


def test_a_note_leaves_with_the_explanation_that_it_is_of(server, opened) -> None:
    page = opened(server.url, at(t="one two three", s="1"))
    pin(page, "see")
    page.wait_for_selector(".pinned-comment")
    page.click(".token >> nth=2")
    page.wait_for_selector("text=token 2 of 3")
    assert page.locator(".pinned-note, mark.pinned").count() == 0
    page.wait_for_function("!/x[.](comment|mark|seen|digest)/.test(location.hash)")


def test_what_is_selected_in_an_explanation_is_highlighted(server, opened) -> None:
    page = opened(server.url, at(t="one two three", s="1"))
    page.click(TOOL.format("Link"))
    page.locator(SHOWN).scroll_into_view_if_needed()
    box = page.evaluate(
        """() => {
          const { firstChild } = document.querySelector(".panel .explanation");
          const range = document.createRange();
          range.setStart(firstChild, 0);
          range.setEnd(firstChild, 5);
          const { left, right, top, bottom } = range.getBoundingClientRect();
          return { left, right, y: (top + bottom) / 2 };
        }"""
    )
    page.mouse.move(box["left"] + 1, box["y"])
    page.mouse.down()
    page.mouse.move(box["right"], box["y"], steps=4)
    page.mouse.up()
    page.wait_for_selector("mark.pinned")
    assert page.inner_text("mark.pinned") == "place"
    page.wait_for_function(f"document.querySelector('{LINK}').value.includes('x.mark=0-5')")


def shown_code(page: Page, form: str) -> str:
    page.click(f"[role=tab]:has-text('{form}')")
    return page.locator("dialog pre").first.inner_text()


def printed(number: float) -> str:
    """A number as the page prints it."""
    return f"{number:.2f}".replace("0.", ".", abs(number) < 1).replace("-", "\u2212")


def agree(page: Page, folder: Path) -> dict[str, Any]:
    """What the shown curl and the shown program get is what the page shows."""
    page.click(TOOL.format("Raw"))
    page.wait_for_selector(ASKED_NOW)
    numbers = page.locator(".scores dd").all_inner_texts()
    curl, python = shown_code(page, "curl"), shown_code(page, "Python")
    answer = json.loads(subprocess.run(["bash", "-c", curl], capture_output=True).stdout)
    (row,) = answer["data"]
    (one,) = row["explanations"]
    names = ("fve_centred_train", "nmse", "denominator")
    assert [printed(one[name]) for name in names] == numbers[:3]
    (folder / "asked.py").write_text(python)
    ran = subprocess.run([sys.executable, "asked.py"], cwd=folder, capture_output=True, text=True)
    fve, nmse, again = ran.stdout.removesuffix("\n").split(" ", 2)
    assert (float(fve), float(nmse)) == (one["fve_centred_train"], one["nmse"]), ran.stderr
    assert again == str(one["explanation"])
    found: dict[str, Any] = one
    return found


@pytest.mark.parametrize("site", ["4", "0-3", "whole"])
def test_curl_and_python_have_what_the_page_shows(servers, opened, tmp_path, site) -> None:
    spoken = 'speaks of {}, "it\'s" \\n $HOME `x`'
    says = Talking(says=lambda place, sample: spoken.format(place // 4))
    url = servers.enter_context(served(explorer_app({"toy": says}, {})))
    page = opened(url, at(t="dear friend, the farmer 'sings'. $HOME `x` \\n", s=site))
    one = agree(page, tmp_path)
    assert one["explanation"] == page.inner_text(SHOWN) and one["fve_centred_train"] < 0.999


@pytest.mark.parametrize("site", ["4", "0-3"])
def test_so_they_have_of_a_bundle(mini, opened, tmp_path, site) -> None:
    page = opened(mini.url, at(t="dear friend, the farmer 'sings'.", s=site))
    one = agree(page, tmp_path)
    assert (one["explanation"] or one["raw_text"]) in page.inner_text(SHOWN)


def test_a_token_is_in_nothing_that_is_copied(opened, servers) -> None:
    app = explorer_app({"toy": verbose()}, {}, token="hush-hush")
    url = servers.enter_context(served(app))
    page = opened(url, at(t="one two", s="1"), expects=["status of 401"])
    page.fill("input[type=password]", "hush-hush")
    page.keyboard.press("Enter")
    page.click(TOOL.format("Raw"))
    page.wait_for_selector(ASKED_NOW)
    codes = [shown_code(page, form) for form in ("JSON", "curl", "Python")]
    assert "hush" not in "".join(codes) + page.content()
    assert "$INTERLINGUA_TOKEN" in codes[1]
    program = f"export INTERLINGUA_TOKEN=hush-hush\n{codes[1]}"
    found = subprocess.run(["bash", "-c", program], capture_output=True).stdout
    assert json.loads(found)["data"][0]["explanations"][0]["explanation"] == HOSTILE.format(1)


def test_an_answer_is_a_file(server, opened) -> None:
    page = opened(server.url, at(t="one two", s="1"))
    page.click(TOOL.format("Raw"))
    with page.expect_download() as made:
        page.click("text=Download JSON")
    assert made.value.suggested_filename == "interlingua-toy-toy-a-1.json"
    found = json.loads(Path(made.value.path()).read_text())
    assert found["request"]["positions"] == [1] and found["url"].endswith("/v1/roundtrip")
    assert found["answer"]["data"][0]["explanations"][0]["explanation"] == HOSTILE.format(1)


def drawn(page: Page, form: str) -> bytes:
    if not page.locator(".figure-preview img").count():
        page.click(TOOL.format("Figure"))
    with page.expect_download() as made:
        page.click(f"text=Download {form}")
    return Path(made.value.path()).read_bytes()


def test_a_figure_is_one_file_in_which_texts_are_texts(server, opened) -> None:
    page = opened(server.url, at(t=f"one {TREE} <g onload=x> {HEBREW} end " * 3, s="3"))
    root = ET.fromstring(drawn(page, "SVG"))
    assert root.get("width") == "720"
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    wanted = HOSTILE.format(3).replace("\x01", "\ufffd")
    assert "".join(texts).replace("\u200d", "").count(wanted.split(" <")[0]) == 1
    assert f"FVE {page.locator('.scores dd').first.inner_text()}" in texts
    assert any("digest 0123456789ab" in one for one in texts)
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg", "title", "rect", "text", "line", "circle", "g",
    }  # fmt: skip
    written = ET.tostring(root).decode()
    assert not re.search(r"href|url\(|style=|class=|<script|var\(", written)
    families = {one.get("font-family") for one in root.iter() if one.get("font-family")}
    assert families <= {"serif", "sans-serif", "monospace"}
    png = drawn(page, "PNG")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 3 * 720


def test_nothing_of_a_figure_is_beside_its_paper(server, opened) -> None:
    page = opened(server.url, at(t="word " * 3 + "W" * 300 + f" {HEBREW}" * 40, s="4"))
    beside = page.evaluate(
        """async (file) => {
          const box = document.createElement("div");
          const drawing = new DOMParser().parseFromString(file, "image/svg+xml").documentElement;
          box.append(drawing);
          document.body.append(box);
          const paper = drawing.getBoundingClientRect();
          return [...drawing.querySelectorAll("text, rect")].filter((one) => {
            const { left, right, top, bottom } = one.getBoundingClientRect();
            return left < paper.left - 1 || right > paper.right + 1 || bottom > paper.bottom + 1;
          }).map((one) => one.textContent);
        }""",
        drawn(page, "SVG").decode(),
    )
    assert beside == []


def test_a_figure_has_the_light_colours_of_the_page(called) -> None:
    css = (page_folder() / "css" / "base.css").read_text()
    light = dict(re.findall(r"--([\w-]+): ([^;]+);", css.partition("@media")[0]))
    colours = called("figure_drawing", "COLOURS")
    assert len(colours) > 8
    assert colours == {name: light[name] for name in colours}


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_what_is_opened_can_be_read_and_used(server, opened, width, scheme) -> None:
    page = opened(server.url, at(t="one two three", s="1"), width=width, scheme=scheme)
    pin(page, "a note")
    page.wait_for_selector(".pinned-comment")
    screens(page, f"keep-link-{width}-{scheme}")
    assert axe(page) + overlaps(page) == []
    for name, ready in (("Raw", ASKED_NOW), ("Figure", ".figure-preview img")):
        page.click(TOOL.format(name))
        page.wait_for_selector(ready)
        screens(page, f"keep-{name}-{width}-{scheme}")
        assert axe(page) + overlaps(page) == []
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")


def test_a_selection_outlives_what_is_new_elsewhere(server, opened) -> None:
    gate = server.hold("/v1/controls")
    page = opened(server.url, at(t="one two three", s="1"))
    page.wait_for_selector(".keep")
    page.evaluate(
        """() => {
          const shown = document.querySelector(".panel .explanation");
          window.selected = shown;
          getSelection().selectAllChildren(shown);
        }"""
    )
    gate.open()
    page.wait_for_selector(".ladder")
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
    assert page.evaluate("window.selected.isConnected && getSelection().toString() !== ''")
