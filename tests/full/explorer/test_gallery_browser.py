"""Recorded examples in a browser: behind a plain web server, from disk, beside a live server."""

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import Opened
from tests.explorer.measures import axe, overlaps, screens
from tests.serving.client.served import served
from tests.serving.explorer.recorded import gallery_recording

from interlingua.serving.explorer.gallery_doubts import doubted, false_swaps
from interlingua.serving.explorer.gallery_keys import asked_key
from interlingua.serving.explorer.gallery_page import one_page
from interlingua.serving.explorer.gallery_sites import sentence_sites
from interlingua.serving.explorer.page import page_folder

NO_API = "status of 404"  # a plain web server has no API; the browser says so, the page goes on
KEYS = "keys => import(keys.at).then(({ askedKey }) => keys.of.map((one) => askedKey(...one)))"
SITES = """async ({ at, of }) => {
  const { sentenceSites, keyOf } = await import(at + "sites.js");
  const { Text } = await import(at + "text.js");
  return of.map(({ text, tokens }) => sentenceSites(new Text(text), tokens).map(keyOf));
}"""


DOUBTS = """async ({ at, of, facts, kinds }) => {
  const { asked, falseSwaps, partsOf } = await import(at + "doubt_texts.js");
  return of.map((text) => {
    const { parts } = partsOf(text);
    const swaps = parts.flatMap((part) => falseSwaps(text, part, facts, kinds));
    return [asked(text, parts).texts, swaps.map((one) => one.text)];
  });
}"""


class Quiet(SimpleHTTPRequestHandler):
    """A plain web server of files."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """A server, and what was recorded of it."""
    app, recording = gallery_recording(tmp_path_factory.mktemp("runs"))
    with served(app) as url:
        yield url, recording


@pytest.fixture(scope="module")
def files(live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files with that recording, below explorer/; and all in one file."""
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(page_folder(), root / "explorer")
    content = json.dumps(live[1])
    (root / "explorer" / "gallery").mkdir(exist_ok=True)
    (root / "explorer" / "gallery" / "demo.json").write_text(content)
    (root / "gallery.html").write_text(one_page(page_folder(), content))
    return root


@pytest.fixture(scope="module")
def site(files: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(files)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def settled(page: Page) -> None:
    expect(page.locator(".panel .verdict")).to_be_visible()
    expect(page.locator(".progress")).to_have_count(0)


def judged(page: Page) -> list[str]:
    """What the page says of a text: what is picked, its explanation, its scores."""
    parts = (".panel-head h2", ".panel .explanation", ".panel .scores", ".panel .verdict")
    return [page.locator(one).inner_text() for one in parts]


def test_both_languages_name_an_answer_alike(live, opened) -> None:
    long = '\u043f\u0440\u0438\u0432\u0435\u0442 \U0001f600 "\\\n' * 9
    asked: list[list[Any]] = [
        ["GET", "/v1/models"],
        ["GET", "/v1/evaluations/a%20b/passages?limit=4"],
        ["GET", "/v1/x?search=a&limit=4&offset=2"],
        ["POST", "/v1/tokens", {"text": long, "model": "m", "host": None}],
        ["POST", "/v1/score", {"n": 1, "seed": 3, "temperature": 0.7, "texts": ["\u2028", "\x7f"]}],
        [
            "POST",
            "/v1/roundtrip",
            {"b": {"z": [1, 2.5, -0.125], "a": True}, "stream": True, "n": 2},
        ],
        ["POST", "/v1/roundtrip", {"temperature": 0, "seed": 0, "n": 1, "a": False, "t": "x" * 65}],
    ]
    page = opened(live[0])
    found = page.evaluate(KEYS, {"at": "/explorer/js/recorded_keys.js", "of": asked})
    assert found == [asked_key(*one) for one in asked]


def test_both_languages_find_the_same_sentences(live, opened) -> None:
    texts = [
        "One. Two!  Three",
        "no end",
        " a.b c. ",
        "\u65e5\u672c. \U0001f600\U0001f600? x.",
        ".",
    ]
    cases = []
    for text in texts:
        for size in (1, 3):
            spans = [(at, min(at + size, len(text))) for at in range(0, len(text), size)]
            tokens = [{"start": 0, "end": 0}, *({"start": a, "end": b} for a, b in spans)]
            cases.append({"text": text, "tokens": tokens})
    page = opened(live[0])
    found = page.evaluate(SITES, {"at": "/explorer/js/", "of": cases})
    assert found == [
        [site.key for site in sentence_sites(one["text"], one["tokens"], 10**6)] for one in cases
    ]


def test_both_languages_doubt_an_explanation_alike(live, opened) -> None:
    facts, kinds = ["topic=farm", "mood=glad"], {"topic": ["farm", "mine"], "mood": ["glad", "sad"]}
    texts = [
        "about a Farm. sounds glad.",
        " A. B!  farm glad farm? end",
        "farmer. x farm, Glad. . y",
    ]
    page = opened(live[0])
    asked = {"at": "/explorer/js/", "of": texts, "facts": facts, "kinds": kinds}
    assert page.evaluate(DOUBTS, asked) == [
        [list(dict.fromkeys(doubted(text))), list(false_swaps(text, facts, kinds))]
        for text in texts
    ]


def test_behind_a_plain_web_server_the_page_shows_what_was_recorded(live, site, opened) -> None:
    """And as it shows it live."""
    page = opened(site, expects=[NO_API])
    settled(page)
    expect(page.locator(".recorded-banner")).to_contain_text("Nothing is computed here")
    expect(page.locator(".recorded-banner")).to_contain_text(live[1]["made"]["date"])
    assert page.locator(".view").all_inner_texts() == ["Read", "Compare", "Gallery"]
    first, *_ = live[1]["examples"]
    link = page.url.split("/explorer/")[1]
    now = opened(live[0], link)
    settled(now)
    assert judged(page) == judged(now)
    assert now.locator(".recorded-banner").count() == 0
    page.locator(".panel-head select").select_option("4")
    now.locator(".panel-head select").select_option("4")
    for one in (page, now):
        expect(one.locator(".samples")).to_contain_text("4 of 4 drawn")
    assert page.locator(".samples").inner_text() == now.locator(".samples").inner_text()
    assert first["explanation"] in judged(now)[1].replace("\n", " ")


def test_recorded_examples_are_compared(site, opened) -> None:
    page = opened(site, "?gallery")
    settled(page)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".crossed td.number")).to_have_count(4)
    expect(page.locator(".panel .verdict")).to_have_count(2)
    expect(page.locator(".notice")).to_have_count(0)
    expect(page.get_by_role("button", name="Tokens", exact=True)).to_have_count(0)


def test_what_was_not_recorded_says_what_to_start(site, opened) -> None:
    page = opened(site, "?gallery")
    settled(page)
    page.get_by_role("button", name="Another text").click()
    page.get_by_role("textbox", name="Text", exact=True).fill("a text of one's own")
    page.get_by_role("button", name="Read it").click()
    notice = page.locator(".text-card .notice")
    expect(notice).to_contain_text("Recorded: this needs a server.")
    expect(notice).to_contain_text("make serve")


def test_from_disk_one_file_shows_all_and_asks_nobody(files, chromium: Browser) -> None:
    context = chromium.new_context(reduced_motion="reduce", viewport={"width": 1024, "height": 768})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((files / "gallery.html").as_uri())
    settled(page)
    expect(page.locator(".tour")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Gallery").click()
    expect(page.locator(".example-card").first).to_be_visible()
    page.get_by_role("link", name="Open in Read").nth(2).click()
    settled(page)
    page.reload()
    settled(page)
    assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
    assert asked.count((files / "gallery.html").as_uri()) == len([a for a in asked if "file:" in a])
    assert complaints == []
    context.close()


def test_one_page_holds_what_a_text_could_break_out_with(tmp_path) -> None:
    content = json.dumps({"format": "x", "text": "</script><script>alert(1)</script><!--"})
    page = one_page(page_folder(), content)
    (inside,) = (
        part.split("</script>")[0]
        for part in page.split('<script type="application/json" id="recorded">')[1:]
    )
    assert json.loads(inside) == json.loads(content) and "<" not in inside
    assert 'from "./' not in page and 'href="css' not in page and 'src="' not in page


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_cards_open_live_where_the_same_bundle_is_served(live, site, opened, width, scheme) -> None:
    page = opened(site, "?gallery#v=gallery", width=width, scheme=scheme)
    cards = page.locator(".example-card")
    expect(cards).to_have_count(len(live[1]["examples"]))
    expect(page.locator(".gallery-head")).to_contain_text("Chosen by rule")
    screens(page, f"gallery-{width}-{scheme}")
    assert overlaps(page) == []
    assert axe(page) == []
    page.get_by_role("link", name="Open in Read").nth(1).click()
    settled(page)
    assert live[1]["examples"][1]["explanation"] in judged(page)[1].replace("\n", " ")
    assert overlaps(page) == []


def test_a_live_server_opens_the_recorded_examples_itself(live, files, opened: Opened) -> None:
    """By its bundle's digest, whatever the bundle is called."""
    url, recording = live
    content = (files / "explorer" / "gallery" / "demo.json").read_text()
    page = opened(url)
    page.route("**/gallery/demo.json", lambda route: route.fulfill(body=content))
    page.goto(f"{url}/explorer/?now#v=gallery")
    expect(page.locator(".gallery-head")).to_contain_text("They open live")
    page.get_by_role("link", name="Open in Read").first.click()
    settled(page)
    assert "gallery" not in page.url
    assert recording["examples"][0]["explanation"] in judged(page)[1].replace("\n", " ")
    other = recording | {"made": recording["made"] | {"bundles": [{"name": "x", "digest": "y"}]}}
    page.unroute("**/gallery/demo.json")
    page.route("**/gallery/demo.json", lambda route: route.fulfill(body=json.dumps(other)))
    page.goto(f"{url}/explorer/?again#v=gallery")
    expect(page.locator(".gallery-head")).to_contain_text("as they were recorded")
    page.get_by_role("link", name="Open in Read").first.click()
    settled(page)
    expect(page.locator(".recorded-banner")).to_be_visible()
