"""One text through two systems: what is picked, what it scores, and what the link restores."""

import json
import re
import urllib.request
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import explorer_app
from tests.explorer.faults import Faulty
from tests.explorer.halving import halving_card, two_bundles
from tests.explorer.measures import axe, overlaps, screens
from tests.explorer.reading import strip
from tests.explorer.talking import Talking, talking_card
from tests.serving.client.served import served

from interlingua.serving.backend import Backend

TEXT = "the farmer sings. she hears it, and \U0001f332 grows. late. so it ends. they go. we stay."
OTHER_HOST = {"x.model": "one", "x.host": "toy-b"}
EXPLAIN = ".compare-sites button:has-text('{}')"


def at(**fields: str) -> str:
    return "#" + urlencode({"v": "compare", "t": TEXT} | fields)


def serving(servers: ExitStack, backends: dict[str, Backend]) -> Faulty:
    app = explorer_app(backends, {})
    app.url = servers.enter_context(served(app))
    return app


@pytest.fixture
def server(servers) -> Faulty:
    """Two bundles of two hosts."""
    return serving(servers, two_bundles())


def ask(server: Faulty, route: str, **content: Any) -> Any:
    """What the API answers."""
    headers = {"Content-Type": "application/json"}
    body = json.dumps(content).encode()
    request = urllib.request.Request(f"{server.url}/v1/{route}", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def side(page: Page, letter: str) -> Locator:
    return page.get_by_role("listbox", name=f"Tokens of {letter}")


def picked(page: Page, letter: str) -> str:
    """The text of what is picked."""
    found = side(page, letter).locator("[aria-selected=true]").all_inner_texts()
    return "".join(found)


def ready(page: Page) -> Page:
    """Both explanations and the table of four are there."""
    expect(page.locator(".crossed td.number")).to_have_count(4)
    return page


def systems(page: Page) -> list[list[str]]:
    """Bundle and host of both sides."""
    return [
        [page.get_by_label(f"{what} of {letter}").input_value() for what in ("Bundle", "Host")]
        for letter in "AB"
    ]


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace("+", ""))


def test_the_other_side_is_the_same_host_of_another_bundle(server, opened) -> None:
    page = ready(opened(server.url, at()))
    assert systems(page) == [["one", "toy-a"], ["two", "toy-a"]]
    assert picked(page, "A") == picked(page, "B") == "the farmer sings.".replace(" ", "")
    assert "one of 1" in page.locator(".pair-A").inner_text()
    assert "two of 0" in page.locator(".pair-B").inner_text()
    assert "counted from 0" in page.get_by_label("Side A").inner_text()


def test_of_one_bundle_it_is_another_host_and_of_one_host_there_is_none(servers, opened) -> None:
    one = serving(servers, {"one": two_bundles()["one"]})
    page = ready(opened(one.url, at()))
    assert systems(page) == [["one", "toy-a"], ["one", "toy-b"]]
    lone = serving(servers, {"toy": Talking(card=talking_card())})
    page = opened(lone.url, at())
    expect(page.get_by_text("nothing to compare it with")).to_be_visible()


def test_picking_on_one_side_picks_the_same_characters_on_the_other(server, opened) -> None:
    page = ready(opened(server.url, at(**OTHER_HOST)))
    page.get_by_role("button", name="Tokens", exact=True).click()
    side(page, "A").locator("[data-at='1']").click()
    ready(page)
    assert (picked(page, "A"), picked(page, "B")) == ("farmer", "farmer")
    assert "token 1 of" in page.locator(".pair-A .panel-head").inner_text()
    assert "mean of tokens 3 to 4" in page.locator(".pair-B .panel-head").inner_text()
    side(page, "B").locator("[data-at='3']").click()
    expect(page.locator(".pair-B .panel-head")).to_contain_text("token 3 of")
    assert (picked(page, "A"), picked(page, "B")) == ("farmer", "far")
    side(page, "A").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pair-A .panel-head")).to_contain_text("token 2 of")
    assert (picked(page, "A"), picked(page, "B")) == ("sings", "sings")


def test_what_one_side_has_nothing_of_is_said(server, opened) -> None:
    page = ready(opened(server.url, at(s="1", **OTHER_HOST)))
    side(page, "B").locator("[data-at='0']").click()
    expect(page.get_by_text("there is no difference")).to_be_visible()
    assert "no token of A has these characters" in page.locator(".pair-A").inner_text()


def test_the_numbers_are_the_servers(server, opened) -> None:
    page = ready(opened(server.url, at(s="9", **OTHER_HOST)))
    places = {"toy-a": [9], "toy-b": [18, 19]}
    texts, vectors, fve = {}, {}, np.zeros((2, 2))
    for host, positions in places.items():
        read = ask(server, "activations", host=host, text=TEXT, positions=positions,
                   vector_form="list")  # fmt: skip
        vectors[host] = [np.mean(read["data"][0]["activations"], axis=0).tolist()]
        (row,) = ask(server, "roundtrip", host=host, activations=vectors[host])["data"]
        texts[host] = row["explanations"][0]["explanation"]
    for row, of in enumerate(places):
        for column, to in enumerate(places):
            answer = ask(server, "score", host=to, explanations=[texts[of]],
                         activations=vectors[to])  # fmt: skip
            fve[row, column] = answer["data"][0]["fve_centred_train"]
    shown = [number(one) for one in page.locator(".crossed td.number").all_inner_texts()]
    assert shown == pytest.approx(fve.ravel(), abs=0.0051)
    assert len(set(shown)) > 2
    difference = number(page.locator(".difference-number").inner_text())
    assert difference == pytest.approx(fve[1, 1] - fve[0, 0], abs=0.0051)
    assert "One row: it has no interval." in page.locator(".difference").inner_text()


def rows_of(page: Page) -> dict[str, list[str]]:
    """The table over all sites."""
    cells = [
        row.locator("th, td").all_inner_texts()
        for row in page.locator(".sites-table tbody tr").all()
    ]
    return {name: rest for name, *rest in cells}


def explained(page: Page, noun: str) -> Page:
    """Everything of a kind is explained on both sides."""
    page.click(EXPLAIN.format(noun))
    expect(page.locator(EXPLAIN.format(noun))).to_have_count(0)
    expect(page.locator(".compare-sites .progress")).to_have_count(0)
    return page


def test_over_all_sites_the_difference_has_an_interval(server, opened) -> None:
    page = ready(opened(server.url, at()))
    assert rows_of(page)["sentence"][0] == "1" and rows_of(page)["sentence"][4] == "\u2013"
    found = rows_of(explained(page, "shared token"))["tokens"]
    (data,) = ask(server, "tokens", model="one", host="toy-a", text=TEXT)["data"]
    fve = {
        model: np.array([
            one["explanations"][0]["fve_centred_train"]
            for one in ask(server, "roundtrip", model=model, host="toy-a", text=TEXT,
                           positions=[*range(len(data["tokens"]))])["data"]
        ])
        for model in ("one", "two")
    }  # fmt: skip
    difference = fve["two"] - fve["one"]
    assert found[0] == str(len(difference))
    expected = [fve["one"].mean(), fve["two"].mean(), difference.mean()]
    assert [number(one) for one in found[1:4]] == pytest.approx(expected, abs=0.0051)
    low, high = map(number, re.split(" to ", found[4]))
    spread = difference.std(ddof=1) / np.sqrt(len(difference))
    assert low < difference.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.25, abs=0.02)
    wins, losses = (difference >= 0.005).sum(), (difference <= -0.005).sum()
    assert [int(one) for one in found[5:7]] == [wins, losses]
    note = page.locator(".compare-sites").inner_text()
    assert "not independent; an evaluation has the numbers that count" in note


def test_a_site_of_the_list_is_picked(server, opened) -> None:
    page = explained(ready(opened(server.url, at())), "sentences")
    page.click("summary:has-text('Sentences by difference')")
    rows = page.locator(".site-row")
    expect(rows).to_have_count(6)
    sizes = [abs(number(one)) for one in rows.locator(".strong").all_inner_texts()]
    assert sizes == sorted(sizes, reverse=True)
    name = rows.nth(4).locator(".site-name").inner_text()
    rows.nth(4).click()
    expect(page.locator(".pair-A h2")).to_have_text(name)


def test_texts_that_are_not_there_are_counted(servers, opened) -> None:
    says = lambda place, sample: None if place == 2 else f"two of {place}"  # noqa: E731
    server = serving(servers, two_bundles(says=says))
    page = explained(ready(opened(server.url, at(s="1"))), "shared token")
    assert "A 0, B 1. They count with the NMSE 2." in page.locator(".compare-sites").inner_text()
    side(page, "B").locator("[data-at='2']").click()
    expect(page.locator(".pair-B")).to_contain_text("No explanation")
    cells = page.locator(".crossed td.number")
    expect(cells.nth(2)).to_have_text("\u2013")
    assert "\u2013" in cells.nth(3).inner_text()


def test_sides_are_swapped_without_asking_again(server, opened) -> None:
    page = ready(opened(server.url, at(s="1", **OTHER_HOST)))
    before = page.locator(".crossed td.number").all_inner_texts()
    difference = page.locator(".difference-number").inner_text()
    asked = [server.count(f"/v1/{route}") for route in ("tokens", "roundtrip")]
    page.locator("body").press("x")
    expect(page.get_by_label("Host of A")).to_have_value("toy-b")
    ready(page)
    assert systems(page) == [["one", "toy-b"], ["one", "toy-a"]]
    assert page.locator(".crossed td.number").all_inner_texts() == before[::-1]
    after = page.locator(".difference-number").inner_text()
    assert number(after) == -number(difference) != 0
    assert [server.count(f"/v1/{route}") for route in ("tokens", "roundtrip")] == asked
    page.get_by_role("button", name="Another text").click()
    page.get_by_role("textbox", name="Text", exact=True).press("x")
    assert systems(page)[0] == ["one", "toy-b"]


def test_a_link_restores_both_sides(server, opened) -> None:
    page = ready(opened(server.url, at()))
    page.get_by_label("Host of B").select_option("toy-b")
    ready(page)
    page.get_by_role("button", name="Tokens", exact=True).click()
    side(page, "B").locator("[data-at='3']").click()
    expect(page.locator(".pair-B .panel-head")).to_contain_text("token 3 of")
    page.locator(".pair-A").get_by_label("Texts").select_option("4")
    expect(page.locator(".pair-B .sample")).to_have_count(4)
    page.wait_for_function("location.hash.includes('x.n=4')")
    other = ready(opened(server.url, page.url.partition("/explorer/")[2]))
    assert systems(other) == [["one", "toy-a"], ["two", "toy-b"]]
    assert (picked(other, "A"), picked(other, "B")) == ("farmer", "far")
    for pair in (".pair-A", ".pair-B"):
        expect(other.locator(f"{pair} .sample")).to_have_count(4)


def test_the_sample_that_is_shown_is_the_one_that_is_compared(servers, opened) -> None:
    says = lambda place, sample: f"two of {place + 3 * sample}"  # noqa: E731
    server = serving(servers, two_bundles(says=says))
    page = ready(opened(server.url, at(s="4", **{"x.n": "4"})))
    first = page.locator(".difference-number").inner_text()
    page.locator(".pair-B .sample").nth(3).click()
    expect(page.locator(".difference-number")).not_to_have_text(first)
    shown = [page.locator(f".pair-{one} .scores dd").first.inner_text() for one in "AB"]
    difference = number(page.locator(".difference-number").inner_text())
    assert difference == pytest.approx(number(shown[1]) - number(shown[0]), abs=0.011)


def test_a_side_that_cannot_read_leaves_the_way_to_another(servers, opened) -> None:
    backends = two_bundles()
    backends["two"].card = halving_card("sentence", "b", is_other_here=False)
    server = serving(servers, backends)
    fields = at(**{"x.model": "two", "x.host": "toy-b"})
    page = opened(server.url, fields, expects=["status of 503"])
    expect(page.get_by_label("Side B").get_by_role("alert")).to_contain_text("not here")
    expect(side(page, "A")).to_be_visible()
    page.get_by_label("Host of B").select_option("toy-a")
    ready(page)
    assert systems(page)[1] == ["two", "toy-a"]


def test_a_score_that_fails_is_asked_again(server, opened) -> None:
    server.refuse("/v1/score", 500)
    page = opened(server.url, at(), expects=["status of 500"])
    expect(page.locator(".crossed-place")).to_contain_text("a test says 500")
    page.locator(".crossed-place").get_by_role("button", name="Try again").click()
    ready(page)


def test_what_is_asked_ends_with_the_view(server, opened) -> None:
    page = ready(opened(server.url, at()))
    gate = server.hold("/v1/roundtrip", after=1, times=2)
    page.click(EXPLAIN.format("shared token"))
    expect(page.locator(".compare-sites .progress")).to_contain_text("0 of")
    page.get_by_role("button", name="Read", exact=True).click()
    expect(strip(page)).to_be_visible()
    gate.open()
    expect(page.locator(".panel .explanation[data-status=done]")).to_be_visible()


def test_many_are_stopped_and_go_on(server, opened) -> None:
    page = ready(opened(server.url, at()))
    gate = server.hold("/v1/roundtrip", after=1, times=2)
    page.click(EXPLAIN.format("shared token"))
    page.get_by_role("button", name="Stop").click()
    gate.open()
    explained(page, "shared token")


def test_another_text_is_compared_on_the_same_sides(server, opened) -> None:
    page = ready(opened(server.url, at(s="1", **OTHER_HOST)))
    page.get_by_role("button", name="Another text").click()
    assert page.get_by_role("tab").all_inner_texts() == ["Text", "Chat"]
    page.get_by_role("textbox", name="Text", exact=True).fill("a new text. it is short.")
    page.get_by_role("button", name="Read it").click()
    expect(side(page, "B")).to_contain_text("a new text.")
    ready(page)
    assert systems(page) == [["one", "toy-a"], ["one", "toy-b"]]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_can_be_read_and_used_on_every_screen(server, opened, width, scheme) -> None:
    page = ready(opened(server.url, at(**OTHER_HOST), width=width, scheme=scheme))
    explained(page, "sentences")
    page.click("summary:has-text('Sentences by difference')")
    screens(page, f"compare-{width}-{scheme}")
    assert axe(page) + overlaps(page) == []
    tops = [page.locator(one).bounding_box()["y"] for one in (".between", ".pair-A", ".pair-B")]
    assert tops == sorted(tops) if width == 390 else tops[1] == tops[2]


def test_of_many_that_fail_it_is_said_why(server, opened) -> None:
    page = ready(opened(server.url, at(), expects=["status of 500"]))
    server.refuse("/v1/roundtrip", 500, times=2)
    page.click(EXPLAIN.format("sentences"))
    expect(page.locator(".compare-sites").get_by_role("alert")).to_contain_text("a test says 500")
    explained(page, "sentences")
    assert page.locator(".compare-sites").get_by_role("alert").count() == 0
