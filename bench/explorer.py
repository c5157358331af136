"""The explorer's page in Chromium: when something is first painted, and frames while it scrolls.

    python -m bench.explorer

The server is in this process and its backend has no models: what is timed is the page. A load is
cold: a browser of its own, without a cache. Frames are those of the page's main thread.
"""

from collections.abc import Sequence
from contextlib import closing
from statistics import median, quantiles

from playwright.sync_api import Page, Playwright, sync_playwright
from tests.explorer.browser import HEIGHTS, opened_browser
from tests.explorer.reading import paste
from tests.explorer.talking import Talking
from tests.serving.client.served import served

from bench.rounds import machine_lines, say
from interlingua.serving.explorer.page import page_folder, page_router
from interlingua.serving.own.app import Settings, make_app

WIDE = 1440
NUM_LOADS, NUM_TOKENS, SECONDS = 10, 1000, 3.0
LONG_MS = 50.0  # of a frame: what people feel
WORDS = ("the", "farmer", "sings", "at", "market", "and", "baker", "hears", "it", "late")
TEXT = " ".join(WORDS[place % len(WORDS)] for place in range(NUM_TOKENS))
SHORT = TEXT[:60]
PATIENCE_MS = 120_000
PAINTED = "first-contentful-paint"
# When the first token of a text is in the page, in ms since the load began.
TOKENS = """addEventListener("DOMContentLoaded", () => new MutationObserver((_, observer) => {
  if (!document.querySelector(".token")) return;
  window.tokensAt = performance.now();
  observer.disconnect();
}).observe(document, { subtree: true, childList: true }));"""
SIZES = """() => performance.getEntriesByType("resource").concat(
  performance.getEntriesByType("navigation")).filter(({ name }) => name.includes("/explorer/"))
  .map(({ transferSize }) => transferSize)"""
# There and back, for so many seconds; the time between two frames, in ms.
SCROLL = """([selector, seconds]) => new Promise((done) => {
  const element = document.querySelector(selector) ?? document.scrollingElement;
  const most = element.scrollHeight - element.clientHeight;
  const begun = performance.now(), found = [];
  let last = null;
  const frame = (now) => {
    if (last !== null) found.push(now - last);
    last = now;
    const turn = ((now - begun) / 1500) % 2;
    element.scrollTop = most * (turn < 1 ? turn : 2 - turn);
    if (now - begun < 1000 * seconds) requestAnimationFrame(frame);
    else done({ most, found });
  };
  requestAnimationFrame(frame);
})"""


def main() -> None:
    """Time loads and frames, print."""
    app = make_app({"toy": Talking()}, Settings(), [page_router(page_folder())])
    with served(app) as url, sync_playwright() as playwright:
        loads = [_load(playwright, url) for _ in range(NUM_LOADS)]
        _print_loads(loads)
        say(
            "",
            f"### {NUM_TOKENS:,} tokens, scrolled for {SECONDS:.0f} s",
            "",
            "| page | frames | median ms | p95 ms | longest ms | above 50 ms |",
            "|---|---|---|---|---|---|",
        )
        for width in (WIDE, 390):
            for name, frames in _scrolled(playwright, url, width).items():
                _print_frames(f"{name}, {width} px", frames)
    say("", *machine_lines())


def _load(playwright: Playwright, url: str) -> tuple[float, float, int, float]:
    """First paint and first token in ms, requests and KiB of a cold load of a text."""
    with closing(opened_browser(playwright)) as browser:
        page = browser.new_page(viewport={"width": WIDE, "height": HEIGHTS[WIDE]})
        page.add_init_script(TOKENS)
        page.goto(f"{url}/explorer/#t={SHORT.replace(' ', '+')}")
        page.wait_for_function("(name) => performance.getEntriesByName(name)[0]", arg=PAINTED)
        page.wait_for_function("() => window.tokensAt")
        painted = page.evaluate(
            "(name) => performance.getEntriesByName(name)[0].startTime", PAINTED
        )
        sizes = page.evaluate(SIZES)
        return painted, page.evaluate("tokensAt"), len(sizes), sum(sizes) / 1024


def _print_loads(loads: Sequence[tuple[float, float, int, float]]) -> None:
    painted, shown, counts, kib = zip(*loads, strict=True)
    say(
        f"### {NUM_LOADS} cold loads at {WIDE} px",
        "",
        "| until | median ms | longest ms |",
        "|---|---|---|",
        f"| first contentful paint | {median(painted):.0f} | {max(painted):.0f} |",
        f"| the tokens of a text | {median(shown):.0f} | {max(shown):.0f} |",
        "",
        f"{median(counts):.0f} files of the page, {median(kib):.0f} KiB as sent",
    )


def _scrolled(playwright: Playwright, url: str, width: int) -> dict[str, list[float]]:
    """Times between frames: before a token is explained, while they are, and when all are."""
    with closing(opened_browser(playwright)) as browser:
        page = browser.new_page(viewport={"width": width, "height": HEIGHTS[width]})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{url}/explorer/")
        paste(page, TEXT)
        _wait_until_idle(page)
        found = {"a few coloured": _frames(page)}
        page.get_by_role("button", name="Explain the other").click()
        found["while all are explained"] = _frames(page)
        _wait_until_idle(page)
        found["all coloured"] = _frames(page)
        return found


def _wait_until_idle(page: Page) -> None:
    page.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
    page.wait_for_function("() => !document.querySelector('.progress, .token.busy')")


def _frames(page: Page) -> list[float]:
    scrolled = page.evaluate(SCROLL, [".strip", SECONDS])
    if scrolled["most"] < 100:
        raise RuntimeError("the text is not long enough to be scrolled")
    found: list[float] = scrolled["found"]
    return found


def _print_frames(name: str, frames: Sequence[float]) -> None:
    p95 = quantiles(frames, n=20)[-1]
    share = sum(frame > LONG_MS for frame in frames) / len(frames)
    say(
        f"| {name} | {len(frames)} | {median(frames):.1f} | {p95:.1f} | {max(frames):.0f} | "
        f"{share:.1%} |"
    )


if __name__ == "__main__":
    main()
