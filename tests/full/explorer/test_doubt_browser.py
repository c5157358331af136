"""An explanation is doubted on the page: its parts, claims swapped in it, and what people write."""

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import explorer_app
from tests.explorer.faults import Faulty
from tests.explorer.measures import axe, overlaps, screens
from tests.serving.client.served import served
from tests.serving.fake import WIDTH, FakeBackend

from interlingua.serving.backend import Piece

Rule = Callable[[str], float | None]
TEXT = "a farmer appears. sounds glad. with a lamp."
WORTH = {"farmer": 0.2, "glad": 0.4, "lamp": -0.1, "sad": -0.3}
KINDS = {"mood": ["angry", "calm", "glad", "sad"], "object": ["lamp", "rope"]}
FACTS = ["mood=glad", "object=lamp"]
CONTROL = {
    "name": "shuffled", "description": "-", "explanation": "sounds sad. it concerns the court.",
    "cosine": 0.0, "nmse": 2.0, "denominator": 0.5, "fve_centred_train": -3.0,
    "null_percentile": 0.5, "null_n": 4,
}  # fmt: skip
PROMPT = "the farmer sings"


class Worded(FakeBackend):
    """A backend whose every explanation is one text."""

    text = TEXT

    async def verbalize(self, *asked: Any, **options: Any) -> AsyncIterator[Piece]:
        async for piece in super().verbalize(*asked, **options):
            done = piece.done and replace(piece.done, explanation=self.text)
            yield replace(piece, text="<explanation>", done=done)


def worth(text: str) -> float:
    """What the tests' AR makes of words, whatever their order."""
    return 0.1 + sum(value for word, value in WORTH.items() if word in text)


class Asked:
    """Scores by a rule, and the requests for them."""

    def __init__(self) -> None:
        self.rule: Rule = worth
        self.texts: list[list[str]] = []
        self.rows: list[np.ndarray] = []
        self.statuses: list[int] = []

    def answer(self, route: Route) -> None:
        content = route.request.post_data_json
        given = content["activations"]
        rows = np.frombuffer(base64.b64decode(given["base64"]), "<f4").reshape(given["shape"])
        self.texts.append(content["explanations"])
        self.rows.append(rows)
        if self.statuses:
            status = self.statuses.pop(0)
            error = {"type": "internal", "message": f"a test says {status}", "field": None}
            return route.fulfill(status=status, json={"error": error})
        data = [{"fve_centred_train": self.rule(text)} for text in content["explanations"]]
        return route.fulfill(json={"data": data})


@pytest.fixture(scope="module")
def backend() -> Worded:
    return Worded()


@pytest.fixture(scope="module")
def server(backend) -> Iterator[Faulty]:
    app = explorer_app({"toy": backend}, {})
    with served(app) as app.url:
        yield app


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def doubted(server, backend, asked, opened) -> Callable[..., Page]:
    """Open the page at an explanation, with facts or without."""

    def open_it(
        text: str = TEXT, *, has_facts: bool = False, site: str = "whole", **view: Any
    ) -> Page:
        backend.text = text
        page = opened(server.url, **view)  # nothing to explain yet: what follows is asked anew
        page.route("**/v1/score", asked.answer)
        page.route("**/v1/controls", lambda route: route.fulfill(json=controls()))
        if has_facts:
            page.route("**/v1/evaluations", lambda route: route.fulfill(json=evaluations()))
            page.route("**/passages*", lambda route: route.fulfill(json=passages()))
            page.route("**/claims", lambda route: route.fulfill(json=claims(route)))
        page.goto(f"{server.url}/explorer/?again#t={PROMPT.replace(' ', '+')}&s={site}")
        expect(page.locator(".doubt")).to_be_visible()
        return page

    yield open_it
    backend.text = TEXT


def controls() -> object:
    return {"data": [{"index": 0, "controls": [CONTROL]}]}


def evaluations() -> object:
    return {"data": [{"name": "world", "has_facts": True, "kinds": KINDS}], "refused": []}


def passages() -> object:
    return {"total": 1, "passages": [{"passage_id": "p", "text": PROMPT, "facts": FACTS}]}


def claims(route: Route) -> object:
    """Every value that a text names, with whether it is true."""
    kind_of = {value: kind for kind, values in KINDS.items() for value in values}
    found = []
    for text in route.request.post_data_json["texts"]:
        named = [one for one in re.finditer(r"\w+", text) if one[0] in kind_of]
        facts = [(one, f"{kind_of[one[0]]}={one[0]}") for one in named]
        found.append({"claims": [], "clauses": [
            {"start": one.start(), "end": one.end(), "fact": fact, "is_true": fact in FACTS}
            for one, fact in facts
        ]})  # fmt: skip
    return {"data": found}


def section(page: Page, title: str) -> Any:
    """A section, opened."""
    found = page.locator("details.doubt-section", has=page.get_by_text(title, exact=True))
    if not found.evaluate("one => one.open"):
        found.locator("summary").first.click()
    return found


def test_the_parts_are_scored_in_one_request(doubted, asked, server) -> None:
    page = doubted()
    rows = page.locator(".doubt-part")
    expect(rows.locator(".number")).to_have_text(["\u2212.20", "\u2212.40", "+.10"])
    expect(rows.locator(".part-role")).to_have_text(["carries score", "carries score", "misleads"])
    expect(page.locator(".doubt-seen")).to_have_text(
        "Most of the score is in part 2: without it the score is .20 rather than .60 (\u2212.40). "
        "Without part 3 it would be higher (+.10)."
    )
    curve = page.get_by_role("img", name="1 part .30, 2 parts .70, 3 parts .60")
    expect(curve).to_be_visible()
    assert asked.texts == [[
        TEXT, "sounds glad. with a lamp.", "a farmer appears. with a lamp.",
        "a farmer appears. sounds glad.", "a farmer appears.",
    ]]  # fmt: skip
    assert asked.rows[0].shape == (5, WIDTH) and (asked.rows[0] == asked.rows[0][0]).all()
    assert asked.rows[0][0].tolist() == [3, 1, 1, 1]


def test_bars_have_a_side(doubted) -> None:
    page = doubted()
    bars = page.locator(".doubt-part .change-bar rect")
    expect(bars).to_have_count(3)
    found = bars.evaluate_all(
        "all => all.map((one) => [one.getAttribute('class'), Number(one.getAttribute('x')),"
        " Number(one.getAttribute('width'))])"
    )
    assert [name for name, *_ in found] == ["carries", "carries", "misleads"]
    assert [(round(x), round(width)) for _, x, width in found] == [(30, 20), (10, 40), (50, 10)]


def lit(page: Page) -> list[str]:
    names = "['doubted', 'undoubted'].map((one) => [...(CSS.highlights.get(one) ?? [])].join(''))"
    found: list[str] = page.evaluate(names)
    return found


def test_a_part_is_lit_in_the_explanation_by_pointer_and_by_key(doubted) -> None:
    page = doubted(has_facts=True)
    expect(page.locator(".explanation mark")).to_have_count(2)  # signs are no part of the text
    page.locator(".doubt-part").nth(1).hover()
    assert lit(page) == ["sounds glad.", "a farmer appears.  with a lamp."]
    page.mouse.move(0, 0)
    assert lit(page) == ["", ""]
    page.get_by_role("button", name="Swap: part 3").focus()
    assert lit(page)[0] == "with a lamp."


def test_only_one_part_is_a_click_away_by_key_too(doubted, asked) -> None:
    page = doubted()
    page.get_by_role("button", name="Only this: part 2").press("Enter")
    expect(page.get_by_label("Edited explanation")).to_have_value("sounds glad.")
    expect(page.locator(".doubt-result")).to_have_text("FVE .60 \u2192 .50, \u2212.10: lower")
    assert asked.texts[-1] == [TEXT, "sounds glad."]


def test_what_is_written_is_scored_and_shown_beside_what_was(doubted, asked) -> None:
    page = doubted(has_facts=True)
    edit = section(page, "Edit it")
    expect(edit.locator(".doubt-result")).to_have_text("Not changed.")
    text = page.get_by_label("Edited explanation")
    text.fill("a farmer appears. sounds sad. with a lamp.")
    expect(edit.locator(".doubt-result")).to_have_text("FVE .60 \u2192 \u2212.10, \u2212.70: lower")
    expect(edit.locator("del")).to_have_text("deleted: glad")
    expect(edit.locator("ins")).to_have_text("added: sad")
    expect(edit.locator("mark.wrong")).to_contain_text("sad")
    expect(edit.locator("mark.right")).to_contain_text("lamp")
    expect(
        edit.get_by_role("img", name="FVE .60 \u2192 \u2212.10, \u2212.70: lower")
    ).to_be_visible()
    expect(page.locator("#announce")).to_have_text("FVE .60 \u2192 \u2212.10, \u2212.70: lower")
    text.fill(" \n")
    expect(edit.locator(".doubt-result")).to_have_text("There is nothing to score.")
    edit.get_by_role("button", name="Reset").click()
    expect(text).to_have_value(TEXT)
    expect(edit.locator(".doubt-result")).to_have_text("Not changed.")
    expect(edit.locator("del")).to_have_count(0)
    assert asked.texts[1:] == [[TEXT, "a farmer appears. sounds sad. with a lamp."]]


def test_of_several_texts_the_newest_is_scored(doubted, asked) -> None:
    page = doubted()
    expect(page.locator(".doubt-part .number").first).to_have_text("\u2212.20")
    held: list[Route] = []
    page.route("**/v1/score", lambda route: held.append(route), times=1)
    section(page, "Edit it")
    text = page.get_by_label("Edited explanation")
    text.press_sequentially("abc")
    wait_for(page, lambda: len(held) == 1)
    assert json.loads(held[0].request.post_data)["explanations"][1] == f"{TEXT}abc"
    text.fill("sad")
    expect(page.locator(".doubt-result")).to_have_text("FVE .60 \u2192 \u2212.20, \u2212.80: lower")
    assert held[0].request.failure == "net::ERR_ABORTED"
    assert asked.texts[1:] == [[TEXT, "sad"]]


def wait_for(page: Page, condition: Callable[[], bool]) -> None:
    """Let the browser's events come until something is so."""
    for _ in range(500):
        if condition():
            return
        page.wait_for_timeout(10)
    raise AssertionError("it did not come")


@pytest.mark.parametrize("name", ["parts", "edit", "swap"])
def test_what_fails_is_told_in_its_place_and_can_be_tried_again(doubted, asked, name) -> None:
    expects = ["500 (Internal Server Error)"]
    if name == "parts":
        asked.statuses = [500]
        page = doubted(expects=expects)
        place = page.locator(".doubt-seen")
    else:
        page = doubted(has_facts=True, expects=expects)
        expect(page.locator(".doubt-part .number").first).to_have_text("\u2212.20")
        asked.statuses = [500]
        if name == "edit":
            place = section(page, "Edit it").locator(".doubt-result")
            page.get_by_label("Edited explanation").fill("sad")
        else:
            place = section(page, "Swap a claim").locator(".doubt-verdict")
            page.get_by_role("combobox", name="Part", exact=True).select_option("1")
            page.get_by_role("button", name="Try all 3").click()
    expect(place.get_by_role("alert")).to_contain_text("a test says 500")
    place.get_by_role("button", name="Try again").click()
    expect(place).to_contain_text(re.compile(r"score|FVE"))
    expect(place.get_by_role("alert")).to_have_count(0)


def test_a_true_claim_is_swapped_for_false_ones(doubted, asked) -> None:
    page = doubted(has_facts=True)
    page.get_by_role("button", name="Swap: part 2").click()
    swap = section(page, "Swap a claim")
    expect(swap.get_by_role("combobox", name="Part", exact=True)).to_have_value("1")
    expect(swap).to_contain_text("True here: mood glad. Each line has another value")
    choices = swap.locator(".swap-choice")
    expect(choices).to_have_text([
        f"sounds deleted: glad added: {one}." for one in ("angry", "calm", "sad")
    ])  # fmt: skip
    choices.nth(2).click()
    text = "a farmer appears. sounds sad. with a lamp."
    expect(page.get_by_label("Edited explanation")).to_have_value(text)
    expect(swap.locator("li .number")).to_have_text(["", "", "\u2212.70"])
    swap.get_by_role("button", name="Try all 3").click()
    expect(swap.locator(".verdict")).to_have_text(
        "A false claim lowers the score by .50 on average "
        "(3 of 3 lower it, \u2212.70 to \u2212.40). "
        "The score reads this claim. Leaving the part out: \u2212.40."
    )
    expect(swap).to_contain_text("n = 3 texts of 1 activation")
    expect(swap.locator("li .number")).to_have_text(["\u2212.40", "\u2212.40", "\u2212.70"])
    assert len(asked.texts[-1]) == 5


def test_a_claim_that_the_score_does_not_read_is_named_so(doubted, asked) -> None:
    asked.rule = lambda text: 0.5
    page = doubted(has_facts=True)
    page.get_by_role("button", name="Swap: part 3").click()
    page.get_by_role("button", name="Try all 1").click()
    expect(page.locator(".doubt .verdict")).to_have_text(
        "A false claim does not change the score on average (0 of 1 lower it). "
        "The score does not read this claim. Leaving the part out: +.00."
    )
    expect(page.locator(".doubt .verdict")).to_have_class("verdict weak")
    expect(page.locator(".doubt-seen")).to_contain_text("No part carries the score alone")


def test_without_facts_parts_of_other_explanations_are_offered(doubted, backend) -> None:
    page = doubted()
    section(page, "Swap a claim")
    swap = section(page, "Swap a claim")
    expect(swap).to_contain_text("whether they are false here is not known")
    expect(swap.locator(".swap-choice")).to_have_text(["it concerns the court.", "sounds sad."])
    expect(swap.locator(".swap-source")).to_have_text(["another passage", "another passage"])
    swap.get_by_role("button", name="Try all 2").click()
    expect(swap.locator(".verdict")).to_contain_text("A part of another explanation lowers")
    backend.text = "it was night."
    page.locator(".token").first.click()
    expect(page.locator(".explanation")).to_have_text("it was night.")
    swap = section(page, "Swap a claim")
    expect(swap.locator(".swap-choice").first).to_have_text("sounds glad.")


def test_a_part_without_a_true_value_says_so(doubted) -> None:
    page = doubted(has_facts=True)
    swap = section(page, "Swap a claim")
    expect(swap).to_contain_text("This part names no value that is true here.")


def test_what_is_open_stays_open_for_the_next_explanation(doubted, asked) -> None:
    page = doubted(width=390)
    expect(page.locator("details.doubt-section[open]")).to_have_count(0)
    section(page, "Edit it")
    page.locator(".token").last.click()
    expect(page.locator("details.doubt-section[open] summary").first).to_have_text("Edit it")
    assert asked.texts == []  # what is folded costs the server nothing


def test_strange_texts_stay_texts_and_many_parts_are_merged(doubted, asked) -> None:
    text = (
        "<img src=x onerror=alert(1)>, \u05e9\u05dc\u05d5\u05dd \U0001f468\u200d\U0001f469. " * 200
    )
    page = doubted(text.strip())
    expect(page.locator(".doubt-part")).to_have_count(24)
    expect(page.locator(".doubt-part .number").last).to_have_text("+.00")
    expect(page.locator(".doubt")).to_contain_text("200 sentences are shown as 24")
    assert page.locator(".doubt img").count() == 0
    page.locator(".doubt-part").nth(3).hover()
    assert "onerror" in lit(page)[0]
    assert len(asked.texts[0]) <= 48


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("glad", "It is one part: without it there would be nothing to score."),
        ("", "The explanation is empty: there is nothing to take apart."),
    ],
)
def test_what_cannot_be_taken_apart_says_so(doubted, text, seen) -> None:
    page = doubted(text)
    expect(page.locator(".doubt-seen")).to_have_text(seen)
    section(page, "Edit it")
    page.get_by_label("Edited explanation").fill("glad farmer")
    expect(page.locator(".doubt-result")).to_contain_text("FVE")


def test_without_an_fve_nothing_is_claimed(doubted, asked) -> None:
    asked.rule = lambda text: None
    page = doubted(has_facts=True)
    expect(page.locator(".doubt-seen")).to_contain_text("There is no FVE here")
    page.get_by_role("button", name="Swap: part 2").click()
    page.get_by_role("button", name="Try all 3").click()
    expect(page.locator(".doubt-verdict")).to_have_text("There is no FVE to compare.")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_everybody_can_read_it(doubted, width, scheme) -> None:
    page = doubted(has_facts=True, width=width, scheme=scheme)
    section(page, "Which part carries it")
    expect(page.locator(".doubt-part .number").first).to_have_text("\u2212.20")
    head = page.locator(".panel-head").evaluate("(head) => head.offsetTop")
    section(page, "Swap a claim")
    page.get_by_role("combobox", name="Part", exact=True).select_option("1")
    page.get_by_role("button", name="Try all 3").click()
    expect(page.locator(".doubt .verdict")).to_be_visible()
    section(page, "Edit it")
    page.get_by_label("Edited explanation").fill("a farmer appears. sounds sad. with a lamp.")
    expect(page.locator(".doubt-truth mark")).to_have_count(2)
    screens(page, f"doubt-{width}-{scheme}")
    assert axe(page) == [] and overlaps(page) == []
    page.evaluate("scrollTo(0, 0)")
    page.locator(".side").evaluate("one => one.scrollTo(0, 0)")
    assert page.locator(".panel-head").evaluate("(head) => head.offsetTop") == head
