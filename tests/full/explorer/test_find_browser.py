"""Find in a browser: stored rows searched, filtered, sorted, opened and taken along."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.explorer.browser import SCREENS
from tests.explorer.conftest import Opened
from tests.explorer.faults import Faulty
from tests.explorer.measures import axe, overlaps, screens
from tests.serving.client.served import served
from tests.serving.explorer import naive
from tests.serving.explorer.made import made_tables, stored, stored_evaluation
from tests.serving.fake import FakeBackend

from interlingua.recipes.world import world_mini
from interlingua.serving.backend import Limits
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.page import page_folder, page_router
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.own.app import Settings, make_app
from interlingua.specs.text.canonical import jsonable

NUM_PASSAGES = 60
ROWS = "/v1/evaluations/demo/rows"
PAGE = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    root = tmp_path_factory.mktemp("runs")
    passages = stored(root, "passages", "world", {}, spec=jsonable(world_mini().passages))
    folder = stored_evaluation(root, "demo", NUM_PASSAGES, {"passages": passages})
    evaluations = EvaluationsApi(Evaluations({"demo": str(folder)}, {}, most_open=1), Limits())
    routers = [evaluations.router(), page_router(page_folder())]
    app = Faulty(make_app({"toy": FakeBackend()}, Settings(), routers))
    with served(app) as app.url:
        yield app
        app.reset()


@pytest.fixture
def rows_server(server: Faulty) -> Iterator[Faulty]:
    """A server of an evaluation, without faults."""
    yield server
    server.reset()


@pytest.fixture(scope="module")
def rows() -> list[naive.Row]:
    tables = made_tables(NUM_PASSAGES, seed=len("demo"))
    return naive.known_rows(*(table.to_pylist() for table in tables))


def numbers(page: Page) -> list[int]:
    """The rows of the list, in its order."""
    return [int(one.get_attribute("data-row") or "") for one in page.locator(".found-item").all()]


def in_rest(page: Page) -> None:
    expect(page.locator(".find")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".find-rows .found-item, .find-empty").first).to_be_visible()


def expected(rows: list[naive.Row], **asked: Any) -> list[int]:
    return [row["row"] for row in naive.found(rows, {"order": "worst", **asked})]


def row_of(page: Page, place: int) -> Locator:
    return page.locator(".found-row").nth(place)


def shown_texts(page: Page) -> list[str]:
    return [text.split("\n")[0] for text in page.locator(".found-text").all_inner_texts()]


def test_the_worst_of_all_rows_come_first_with_what_they_are_together(
    rows_server, opened, rows
) -> None:
    page = opened(rows_server.url, "#v=find")
    in_rest(page)
    found = naive.found(rows, {"order": "worst", "predictor": "greedy"})
    assert numbers(page) == [row["row"] for row in found[:PAGE]]
    figures = page.locator(".figures")
    summary = naive.summary(found)
    expect(figures).to_contain_text(f"{len(found)} rows")
    expect(figures).to_contain_text(f"{summary['num_passages']} passages")
    expect(figures).to_contain_text("mean FVE, centred, own variance")
    expect(figures).to_contain_text(f"{round(100 * summary['failed_share'])}% failed")
    expect(page.locator(".find-pages")).to_contain_text("Page 1 of 4")


def test_what_is_searched_for_stands_in_the_link(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find")
    in_rest(page)
    page.keyboard.press("/")
    page.keyboard.type("farm")
    page.locator("select[data-name=host]").select_option("toy-b")
    page.locator("select[data-name=predictor]").select_option(label="all")
    page.locator("select[data-name=claims]").select_option("any_false")
    page.locator("select[data-name=order]").select_option("best")
    page.get_by_text("Facts that hold").click()
    page.get_by_role("button", name="glad", exact=True).click()
    asked = {"search": "farm", "host": "toy-b", "claims": "any_false", "order": "best"}
    wanted = expected(rows, **asked, facts=["mood=glad"])
    assert 0 < len(wanted) < PAGE
    expect(page.locator(".found-item")).to_have_count(len(wanted))
    assert numbers(page) == wanted
    again = opened(rows_server.url, page.url.split("/explorer/")[1])
    in_rest(again)
    assert numbers(again) == wanted
    expect(again.locator("#search")).to_have_value("farm")
    expect(again.get_by_role("button", name="glad", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


def test_an_older_answer_does_not_take_the_place_of_a_newer_one(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find")
    in_rest(page)
    gate = rows_server.hold(ROWS)
    page.locator("select[data-name=order]").select_option("longest")
    expect(page.locator(".find")).to_have_attribute("aria-busy", "true")
    page.locator("select[data-name=order]").select_option("best")
    in_rest(page)
    gate.open()
    page.wait_for_load_state("networkidle")
    assert numbers(page) == expected(rows, predictor="greedy", order="best")[:PAGE]
    expect(page.locator("select[data-name=order]")).to_have_value("best")


def test_where_nothing_fits_it_is_said_what_could_be_removed(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find&x.search=farm+nowhere&x.host=toy-b")
    in_rest(page)
    empty = page.locator(".find-empty")
    expect(empty).to_contain_text("Nothing fits")
    assert overlaps(page) == [] and axe(page) == []
    empty.get_by_role("button", name="Remove \u201cfarm nowhere\u201d").click()
    in_rest(page)
    assert numbers(page) == expected(rows, predictor="greedy", host="toy-b")[:PAGE]
    assert "search" not in page.url and "host=toy-b" in page.url


def test_keys_move_through_rows_and_pages_and_open_them(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find", width=1024)
    in_rest(page)
    page.keyboard.press("j")
    expect(row_of(page, 0)).to_be_focused()
    page.keyboard.press("j")
    expect(row_of(page, 1)).to_be_focused()
    page.keyboard.press("Enter")
    second = page.locator(".found-item").nth(1)
    expect(second.locator(".found-beside")).to_be_visible()
    assert f"x.row={numbers(page)[1]}" in page.url
    page.keyboard.press("Escape")
    expect(page.locator(".found-beside")).to_have_count(0)
    expect(row_of(page, 1)).to_be_focused()
    row_of(page, PAGE - 1).focus()
    page.keyboard.press("j")
    expect(page.locator(".find-pages")).to_contain_text("Page 2 of 4")
    expect(row_of(page, 0)).to_be_focused()
    wanted = expected(rows, predictor="greedy")
    assert numbers(page) == wanted[PAGE : 2 * PAGE]
    page.keyboard.press("k")
    expect(row_of(page, PAGE - 1)).to_be_focused()
    assert numbers(page) == wanted[:PAGE]


def test_a_row_is_shown_beside_what_others_made_of_the_same(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find&x.order=best")
    whole = page.locator(".found-whole")
    expect(whole.locator(".found-beside")).to_be_visible()
    best = expected(rows, predictor="greedy", order="best")[0]
    expect(whole).to_contain_text(f"row {best}")
    own = rows[best]
    same = ("host", "passage_id", "position")
    others = [
        row
        for row in rows
        if all(row[name] == own[name] for name in same) and row["sample"] == own["sample"]
    ]
    assert len(others) > 3
    expect(whole.locator("tbody tr")).to_have_count(len(others))
    expect(whole.locator("tr.own")).to_contain_text("greedy")
    whole.get_by_role("button", name="All rows of this passage").click()
    in_rest(page)
    wanted = expected(rows, order="best", is_same_passage=own["passage_id"])
    assert numbers(page) == wanted[:PAGE]


def test_rows_are_taken_along_as_files(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find&x.predictor=sampled")
    in_rest(page)
    page.get_by_text("Download", exact=True).click()
    files = page.locator(".find-files .row")
    wanted = expected(rows, predictor="sampled")
    with page.expect_download() as of_page:
        files.nth(0).get_by_role("button", name="JSON").click()
    content = json.loads(Path(of_page.value.path()).read_text())
    assert [row["row"] for row in content["rows"]] == wanted[:PAGE]
    assert content["request"]["predictor"] == "sampled"
    with page.expect_download() as of_all:
        files.nth(1).get_by_role("button", name="CSV").click()
    with open(of_all.value.path(), newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == wanted and len(wanted) > 200
    for line, number in zip(lines, wanted, strict=True):
        own = rows[number]
        assert line["explanation"] == (own["explanation"] or "")
        assert (line["text"], line["raw_text"]) == (own["passage"], own["text"] or "")


def test_a_server_that_fails_is_asked_again(rows_server, opened, rows) -> None:
    page = opened(rows_server.url, "#v=find", expects=["status of 500"])
    in_rest(page)
    rows_server.refuse(ROWS, 500)
    page.locator("select[data-name=order]").select_option("best")
    page.get_by_role("button", name="Try again").click()
    in_rest(page)
    assert numbers(page) == expected(rows, predictor="greedy", order="best")[:PAGE]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_nothing_is_on_anything_else(rows_server, opened: Opened, width, scheme) -> None:
    page = opened(rows_server.url, "#v=find", width=width, scheme=scheme)
    in_rest(page)
    if width < 1061:
        row_of(page, 1).click()
    expect(page.locator(".found-beside")).to_be_visible()
    page.wait_for_load_state("networkidle")
    screens(page, f"find-{width}-{scheme}")
    assert overlaps(page) == []
    assert axe(page) == []
