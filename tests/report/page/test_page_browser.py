"""The page in a real browser: on a phone, in the dark, and its explanation browser in use."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from tests.skipping import lacking

CHROMIUM = shutil.which("chromium")
PHONE, DESK = (390, 844), (1280, 900)
LIGHT, DARK = "1", "0"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--window-size=1300,1000", "--virtual-time-budget=8000", "--enable-logging=stderr",
    "--dump-dom",
)  # fmt: skip

# Before the page's own script, so that its errors are seen too.
LISTENER = """<script>
window.seen = [];
addEventListener("error", (event) => window.seen.push(String(event.message)));
const loud = console.error;
console.error = (...words) => { window.seen.push(words.join(" ")); loud(...words); };
</script>"""
# A window cannot be as narrow as a phone; a frame can.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe src="probed.html" width="{width}" height="{height}" style="border:0"></iframe>
<script>addEventListener("message", (event) => {{
  document.documentElement.setAttribute("data-found", event.data);
}});</script>"""
PROBE = """<script>
addEventListener("load", () => {
  const get = (name) => document.getElementById("browser-" + name);
  const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent);
  const scores = () => [...document.querySelectorAll("#browser-rows data")];
  const values = () => scores().map((e) => Number(e.dataset.value));
  const use = (name, value, kind) => {
    get(name).value = value;
    get(name).dispatchEvent(new Event(kind));
  };
  const root = document.documentElement;
  const found = { width: innerWidth, scrolls: root.scrollWidth };
  const wide = [...document.querySelectorAll("body *")].filter((e) =>
    e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, nav"));
  found.wide = wide.map((e) => e.tagName + "." + e.className);
  found.paper = getComputedStyle(document.body).backgroundColor;
  found.ink = getComputedStyle(document.querySelector(".plot svg text")).fill;
  found.predictors = texts("#browser-predictor option");
  found.first = values().length;
  get("more").click();
  found.more = values().length;
  use("host", "toy-lfm-7b", "change");
  use("predictor", "greedy", "change");
  use("order", "worst", "change");
  found.worst = values();
  found.names = scores().map((e) => e.dataset.metric);
  use("search", "harbour", "input");
  found.searched = texts("#browser-rows article");
  found.marks = [texts("#browser-rows mark.good"), texts("#browser-rows mark.bad")];
  use("search", "no such words at all", "input");
  found.nothing = values().length;
  found.count = get("count").textContent;
  found.injected = document.querySelectorAll("img, b").length;
  found.seen = window.seen;
  parent.postMessage(JSON.stringify(found), "*");
});
</script>"""


@pytest.fixture
def browse(tmp_path):
    """Open the page in a frame of this size; gives what the probe found."""
    if CHROMIUM is None:
        lacking("no chromium here: the report was not opened in a browser")

    def open_page(folder: Path, size: tuple[int, int], scheme: str) -> dict:
        page = (folder / "report.html").read_text()
        page = page.replace("<head>", "<head>" + LISTENER, 1)
        (folder / "probed.html").write_text(page.replace("</body>", PROBE + "</body>"))
        frame = folder / "frame.html"
        frame.write_text(FRAME.format(width=size[0], height=size[1]))
        scheme_flag = f"--blink-settings=preferredColorScheme={scheme}"
        profile_flag = f"--user-data-dir={tmp_path / 'profile'}"
        done = subprocess.run(
            [CHROMIUM, *FLAGS, scheme_flag, profile_flag, frame.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found = re.search(r'data-found="([^"]*)"', done.stdout)
        assert found is not None, done.stderr
        assert "CONSOLE" not in done.stderr, done.stderr
        return json.loads(unescape(found[1]))

    return open_page


@pytest.mark.slow
def test_on_a_phone_nothing_is_wider_than_the_screen(reported, browse) -> None:
    found = browse(reported(is_rewarded=True), PHONE, LIGHT)
    assert found["width"] == PHONE[0]
    assert found["scrolls"] == PHONE[0]
    assert found["wide"] == []
    assert found["seen"] == []


@pytest.mark.slow
def test_it_turns_dark_with_the_reader(reported, browse) -> None:
    folder = reported()
    light, dark = (browse(folder, DESK, scheme) for scheme in (LIGHT, DARK))
    assert sum(channels(light["paper"])) > 700 > 200 > sum(channels(dark["paper"]))
    assert sum(channels(dark["ink"])) > 600 > 150 > sum(channels(light["ink"]))
    assert light["scrolls"] == dark["scrolls"] == DESK[0]


@pytest.mark.slow
def test_explanations_are_chosen_ordered_and_searched(reported, browse) -> None:
    hostile = "</script><img src=x onerror=\"console.error('ran')\"><b>b</b> "
    found = browse(reported(text=hostile), DESK, LIGHT)
    assert found["predictors"][:3] == ["sampled (T=1)", "greedy", "teacher's explanations"]
    assert (found["first"], found["more"]) == (10, 20)
    assert found["worst"] == sorted(found["worst"])
    assert all(name.startswith("toy-lfm-7b|greedy|row_fve:") for name in found["names"])
    assert found["searched"]
    assert all("harbour" in text for text in found["searched"])
    good, bad = found["marks"]
    assert good
    assert bad
    assert (found["nothing"], found["count"]) == (0, "Showing 0 of 0 (sample of 60)")
    assert (found["injected"], found["seen"]) == (0, [])


def channels(colour: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]
