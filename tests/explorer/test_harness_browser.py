"""What watches and measures pages sees what it is there to see."""

import json
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from http.client import IncompleteRead
from pathlib import Path
from threading import Thread

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page
from tests.explorer.faults import Cut
from tests.explorer.measures import SCREENS, axe, overlaps, screens
from tests.explorer.watching import Watch
from tests.serving.client.served import served, wait_until
from tests.serving.fake import HOST

from interlingua.serving.explorer.page import page_router

HEAD = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>A page</title>"
    "<link rel=icon href=icon.svg><main><h1>Head</h1>"
)
CUT = "<style>.cut { width: 40px; overflow: hidden; white-space: nowrap; }</style>"
STREAM = {"host": HOST, "activations": [[0, 3.0, 0, 0]], "n": 2, "temperature": 1, "stream": True}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A page of a test."""
    (tmp_path / "page").mkdir()
    return tmp_path / "page"


@pytest.fixture
def page(chromium) -> Iterator[Page]:
    """An empty page."""
    context = chromium.new_context(viewport={"width": 500, "height": 400})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def plain_page(chromium) -> Iterator[Page]:
    """One for all tests that bring all of its content."""
    context = chromium.new_context(viewport={"width": 500, "height": 400})
    yield context.new_page()
    context.close()


def complaints(page: Page, folder: Path, expected: Collection[str]) -> Watch:
    """A watch over a page of a folder, once all that is expected came."""
    app = FastAPI()
    app.include_router(page_router(folder))
    with served(app) as url:
        watch = Watch(url)
        watch.over(page)
        page.goto(f"{url}/explorer/")
        page.wait_for_load_state("networkidle")
        for _ in range(200):
            if all(any(part in one for one in watch.found) for part in expected):
                break
            page.wait_for_timeout(20)
        page.goto("about:blank")
    return watch


def write(folder: Path, body: str, script: str) -> None:
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "index.html").write_text(f"{HEAD}{body}<script src=page.js></script>")
    (folder / "page.js").write_text(script)


def test_of_a_sound_page_nothing_is_found(folder, page) -> None:
    write(folder, "<p>text</p>", "fetch('icon.svg'); console.log('one'); location.hash = '#a';")
    watch = complaints(page, folder, ())
    assert watch.found == watch.problems() == []


COMPLAINTS = {
    "console.error('bad thing')": "error: bad thing",
    "console.warn('odd thing')": "warning: odd thing",
    "throw new Error('broken')": "exception: broken",
    "Promise.reject(new Error('later'))": "exception: later",
    "fetch('missing.json')": "status of 404",
    "fetch('http://127.0.0.1:9/').catch(() => 1)": "refused by the policy: connect-src",
    "document.querySelector('b').click()": "refused by the policy: script-src-attr inline",
    "eval('1')": "refused by the policy: script-src eval",
}
MARKUP = {
    "<img alt=a src=//a.example/a.png>": "another origin: http://a.example/a.png",
    "<script>1</script>": "refused by the policy: script-src-elem inline",
    "<p style='color: red'>a</p>": "refused by the policy: style-src-attr inline",
    "<b onclick='1'>a</b>": "refused by the policy: script-src-attr inline",
}


def test_whatever_the_browser_complains_of_is_found(folder, page) -> None:
    scripts = "".join(f"setTimeout(() => {{ {script}; }});" for script in COMPLAINTS)
    expected = {*COMPLAINTS.values(), *MARKUP.values()}
    write(folder, "".join(MARKUP), scripts)
    watch = complaints(page, folder, expected)
    assert {part for part in expected if any(part in one for one in watch.found)} == expected
    assert watch.problems() == watch.found
    watch.expected = [*watch.found]
    assert watch.problems() == []
    watch.expected.append("another thing")
    assert watch.problems() == ["expected, but it did not come: another thing"]


def test_a_request_that_fails_is_found_and_one_that_the_page_stops_is_none(fake, page) -> None:
    watch = Watch(fake.url)
    watch.over(page)
    page.goto(f"{fake.url}/explorer/icon.svg")
    gate = fake.hold("/v1/models")
    page.evaluate("stopper = new AbortController(); 1")
    page.evaluate("void fetch('/v1/models', { signal: stopper.signal }).catch(() => null)")
    wait_until(lambda: gate.num_waiting == 1)
    page.evaluate("stopper.abort()")
    fake.add("/v1/models", Cut(after=0))
    page.evaluate("fetch('/v1/models').then((answer) => answer.text()).catch(() => null)")
    failed = [one for one in watch.found if one.startswith("failed")]
    assert len(failed) == 1 and "net::ERR_CONTENT_LENGTH_MISMATCH" in failed[0], watch.found


CLAMPED = (
    "display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 1; overflow: hidden; "
    "width: 40px"
)
BOX = "position: absolute; top: 100px; left: 20px; margin: 0;"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<p>one</p><p>two <b>three</b> four</p>", None),
        (f"<p style='{BOX}'>first</p><p style='{BOX}'>second</p>", "on each other"),
        (f"<p style='{BOX}'>first</p><p style='{BOX} top: 130px'>second</p>", None),
        (f"<p style='{BOX}'>first</p><p style='{BOX} opacity: 0'>second</p>", None),
        (f"<p style='{BOX}'>first</p><p style='{BOX} visibility: hidden'>second</p>", None),
        (f"<p style='{BOX}'>first <b>inside</b></p>", None),
        ("<p class=cut>a long text</p>", "cut off"),
        ("<p style='height: 9px; overflow: hidden'>a</p>", "cut off"),
        ("<div style='width: 9px; overflow: clip'><p style='width: 99px'>text</div>", "cut off"),
        ("<p class=cut style='overflow: auto'>a long text</p>", None),
        ("<p class=cut style='text-overflow: ellipsis'>a long text</p>", None),
        (f"<p style='{CLAMPED}'>a long text</p>", None),
        (
            "<div style='height: 40px; overflow: auto'><p style='height: 90px'>one<p>two</div>"
            "<p>below</p>",
            None,
        ),
        ("<p style='position: absolute; left: -30px'>a long text</p>", "beside the screen"),
        ("<p style='float: right; margin-right: -30px'>a long text</p>", "beside the screen"),
        ("<p style='position: absolute; top: -90px'>for focus</p>", None),
        ("<p style='width: 900px; height: 1px'></p>", "px wide on a screen of 500"),
        ("<div style='overflow: auto'><p style='width: 900px'>text</p></div>", None),
        (
            "<svg width=99 height=50><text y=20>one</text><text y=22>two</text></svg>",
            "on each other",
        ),
    ],
)
def test_texts_that_cannot_be_read_are_found(plain_page, body, found) -> None:
    page = plain_page
    page.set_content(HEAD + CUT + body)
    seen = overlaps(page)
    assert any(found in one for one in seen) if found else seen == []


def test_in_an_open_dialog_only_its_own_texts_count(plain_page) -> None:
    page = plain_page
    page.set_content(
        f"{HEAD}<p style='{BOX}'>one</p><p style='{BOX}'>two</p><dialog><p>text</p></dialog>"
        "<dialog id=two><p>text</p><p style='width: 9px; overflow: hidden'>texts</p></dialog>"
    )
    assert len(overlaps(page)) == 1
    page.evaluate("document.querySelector('dialog').showModal()")
    assert overlaps(page) == []
    page.evaluate("document.querySelector('#two').showModal()")
    assert len(overlaps(page)) == 1 and "cut off" in overlaps(page)[0]


def test_what_some_cannot_read_or_use_is_found(plain_page) -> None:
    page = plain_page
    page.set_content(f"{HEAD}<p>text</p>")
    assert axe(page) == []
    page.set_content(f"{HEAD}<p style='color: #aaa'>pale</p><button></button>")
    assert sorted(one.split(": ")[0] for one in axe(page)) == [
        "critical button-name",
        "serious color-contrast",
    ]


def test_a_picture_is_taken_where_a_folder_is_named(plain_page, tmp_path, monkeypatch) -> None:
    page = plain_page
    monkeypatch.delenv(SCREENS, raising=False)
    screens(page, "one")
    monkeypatch.setenv(SCREENS, str(tmp_path / "new"))
    screens(page, "two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["two.png"]


def ask(url: str, content: object) -> bytes:
    """The body of an answer."""
    body, headers = json.dumps(content).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/verbalize", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: bytes = answer.read()
    return found


def test_so_many_answers_are_refused_and_the_next_is_the_apps(fake) -> None:
    fake.refuse("/v1/verbalize", 429, times=2, Retry_After="3")
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(fake.url, STREAM)
        assert (refused.value.code, refused.value.headers["Retry-After"]) == (429, "3")
        assert json.load(refused.value)["error"]["type"] == "busy"
    assert ask(fake.url, STREAM).endswith(b"data: [DONE]\n\n")
    assert fake.count("/v1/verbalize") == 3


def test_a_stream_is_cut_in_the_middle_or_ends_too_early(fake) -> None:
    whole = ask(fake.url, STREAM)
    fake.add("/v1/verbalize", Cut(after=2))
    with pytest.raises(IncompleteRead) as cut:
        ask(fake.url, STREAM)
    fake.add("/v1/verbalize", Cut(after=2, is_clean=True))
    short = ask(fake.url, STREAM)
    assert cut.value.partial == short and whole.startswith(short) and 0 < len(short) < len(whole)


@pytest.mark.parametrize("after", [0, 2])
def test_an_answer_waits_until_it_is_let_through(fake, after) -> None:
    gate, found = fake.hold("/v1/verbalize", after=after), []
    thread = Thread(target=lambda: found.append(ask(fake.url, STREAM)))
    thread.start()
    wait_until(lambda: gate.num_waiting == 1)
    assert found == []
    gate.open()
    thread.join(20)
    assert found[0].endswith(b"data: [DONE]\n\n")
