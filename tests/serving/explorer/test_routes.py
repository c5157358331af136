"""Stored rows over HTTP: what is answered, what is refused, and what is opened when."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.serving.asgi import Answer, Asgi
from tests.serving.explorer import naive
from tests.serving.explorer.made import SAMPLES, made_tables, stored_evaluation
from tests.serving.fake import FakeBackend

from interlingua.serving.backend import Limits
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.requests import RowsRequest
from interlingua.serving.explorer.routes import EvaluationsApi
from interlingua.serving.explorer.table import RowTable
from interlingua.serving.own.app import Settings, make_app
from interlingua.specs.evaluation import PLAIN, Predictor

ROWS, PASSAGES = "/v1/evaluations/demo/rows", "/v1/evaluations/demo/passages"
NUM_PASSAGES = 12


def client(folders: dict[str, Path], token: str | None = None, most_open: int = 4) -> Asgi:
    found = {name: str(folder) for name, folder in folders.items()}
    evaluations = Evaluations(found, {}, most_open=most_open)
    router = EvaluationsApi(evaluations, Limits()).router()
    return Asgi(make_app({"toy": FakeBackend()}, Settings(token=token), [router]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_evaluation(tmp_path_factory.mktemp("runs"), "demo", NUM_PASSAGES)


@pytest.fixture(scope="module")
def asgi(folder: Path) -> Asgi:
    return client({"demo": folder})


@pytest.fixture(scope="module")
def rows() -> list[naive.Row]:
    tables = made_tables(NUM_PASSAGES, seed=len("demo"))
    return naive.known_rows(*(table.to_pylist() for table in tables))


def refused(answer: Answer, status: int, kind: str) -> dict[str, Any]:
    assert answer.status == status, answer.body
    error: dict[str, Any] = answer.json()["error"]
    assert error["type"] == kind and error["message"]
    return error


def test_the_list_says_what_an_evaluation_is_of(asgi, folder, rows) -> None:
    answer = asgi.request("GET", "/v1/evaluations")
    assert answer.status == 200 and answer.json()["refused"] == []
    (one,) = answer.json()["data"]
    assert (one["name"], one["bundle"], one["split"]) == ("demo", None, "test")
    assert folder.name == f"demo-{one['fingerprint']}"
    assert (one["num_rows"], one["num_passages"]) == (len(rows), NUM_PASSAGES)
    assert one["has_facts"] is True
    assert [(host["tag"], host["role"]) for host in one["hosts"]] == [
        ("toy-b", "anchor"),
        ("toy-c", "trained"),
        ("toy-a", "held out"),
    ]
    named = {one["name"]: one["title"] for one in one["predictors"]}
    assert named == {name.value: PLAIN[name] for name in Predictor if name in SAMPLES}
    assert list(named) == [name.value for name in Predictor if name in SAMPLES]
    assert [gate["name"] for gate in one["gates"]] == ["leakage", "ignores_vector"]
    assert one["gates"][1]["is_accepted"] and one["gates"][1]["words"] == "on toy-a"
    assert one["kinds"].keys() == {"mood", "topic"} and one["kinds"]["mood"] == ["glad", "sad"]
    assert one["orders"] == ["worst", "best", "passage", "longest", "most_false"]


def test_pages_follow_each_other_without_a_gap(asgi, rows) -> None:
    asked = {"claims": "any_false", "order": "most_false"}
    expected = naive.found(rows, asked)
    found: list[int] = []
    while True:
        page = asgi.request("POST", ROWS, json={**asked, "offset": len(found), "limit": 7}).json()
        assert (page["total"], page["offset"]) == (len(expected), len(found))
        assert page["summary"] == pytest.approx(naive.summary(expected))
        if not page["rows"]:
            break
        found += [row["row"] for row in page["rows"]]
    assert found == [row["row"] for row in expected] and len(found) > 20


def test_without_conditions_the_worst_of_all_rows_come_first(asgi, rows) -> None:
    page = asgi.request("POST", ROWS, json={}).json()
    assert page["total"] == len(rows) and len(page["rows"]) == 50
    assert [row["row"] for row in page["rows"]] == [row["row"] for row in naive.found(rows, {})][
        :50
    ]
    assert page["rows"][0]["fve_centred_own"] < -2


def test_a_row_by_its_number_stands_beside_its_controls(asgi, rows) -> None:
    (first, *_) = asgi.request("POST", ROWS, json={"predictor": "greedy"}).json()["rows"]
    whole = asgi.request("GET", f"{ROWS}/{first['row']}").json()
    others = whole.pop("beside")
    assert whole == first
    assert sorted(row["row"] for row in others) == naive.beside(rows, first["row"])
    assert {row["predictor"] for row in others} >= {"sampled", "teacher", "encoder"}
    assert {(row["host"], row["passage_id"], row["position"]) for row in others} == {
        (first["host"], first["passage_id"], first["position"])
    }
    error = refused(asgi.request("GET", f"{ROWS}/{len(rows)}"), 404, "not_found")
    assert error["field"] == "row" and f"0 to {len(rows) - 1}" in error["message"]
    assert refused(asgi.request("GET", f"{ROWS}/x"), 422, "invalid")["field"] == "row"
    assert refused(asgi.request("GET", f"{ROWS}/-1"), 422, "invalid")["field"] == "row"


def test_passages_come_in_the_order_of_their_ids(asgi, rows) -> None:
    page = asgi.request("GET", f"{PASSAGES}?limit=5&offset=3").json()
    texts = {row["passage_id"]: row["passage"] for row in rows}
    assert (page["total"], page["offset"]) == (NUM_PASSAGES, 3)
    assert [one["passage_id"] for one in page["passages"]] == sorted(texts)[3:8]
    for one in page["passages"]:
        assert one["text"] == texts[one["passage_id"]]
        assert {fact.partition("=")[0] for fact in one["facts"]} == {"topic", "mood"}
    found = asgi.request("GET", f"{PASSAGES}?search=FARM%20%22a.c%22").json()["passages"]
    expected = [
        name for name in sorted(texts) if "farm" in texts[name].lower() and "a.c" in texts[name]
    ]
    assert [one["passage_id"] for one in found] == expected
    assert asgi.request("GET", f"{PASSAGES}?offset=99").json()["passages"] == []
    for query, field in (("limit=0", "limit"), ("limit=201", "limit"), ("offset=-1", "offset")):
        assert refused(asgi.request("GET", f"{PASSAGES}?{query}"), 422, "invalid")["field"] == field
    error = refused(asgi.request("GET", f"{PASSAGES}?search={'a' * 1001}"), 422, "invalid")
    assert error["field"] == "search"


SHAPES = [
    ({"order": "random"}, "order", "most_false"),
    ({"claims": "some"}, "claims", "any_false"),
    ({"field": "text"}, "field", "passage"),
    ({"limit": 0}, "limit", "greater"),
    ({"limit": 201}, "limit", "less"),
    ({"limit": "3"}, "limit", "integer"),
    ({"limit": True}, "limit", "integer"),
    ({"offset": -1}, "offset", "greater"),
    ({"offset": 2**31}, "offset", "less"),
    ({"min_fve": "0"}, "min_fve", "number"),
    ({"max_fve": float("nan")}, "max_fve", "finite"),
    ({"min_fve": float("nan")}, "min_fve", "finite"),
    ({"is_failed": 1}, "is_failed", "boolean"),
    ({"host": 3}, "host", "string"),
    ({"facts": "topic=farm"}, "facts", "list"),
    ({"facts": [1]}, "facts[0]", "string"),
    ({"facts": ["a=b"] * 65}, "facts", "64"),
    ({"search": "a" * 1001}, "search", "1000"),
    ({"serach": "a"}, "serach", "not permitted"),
]


@pytest.mark.parametrize(("asked", "field", "words"), SHAPES, ids=lambda value: ascii(value)[:30])
def test_another_shape_is_a_422(asgi, asked, field, words) -> None:
    error = refused(asgi.request("POST", ROWS, json=asked), 422, "invalid")
    assert error["field"] == field and words in error["message"]


VALUES = [
    ({"host": "toy-z"}, "host", "toy-a, toy-b, toy-c"),
    ({"predictor": "oracle"}, "predictor", "sampled, greedy"),
    ({"facts": ["topic=farm", "colour=red"]}, "facts[1]", "mood, topic"),
    ({"is_same_passage": "zz"}, "is_same_passage", "no row"),
    ({"search": "a " * 17}, "search", "at most 16"),
    ({"search": "\ud800"}, "search", "surrogate"),
]


@pytest.mark.parametrize(("asked", "field", "words"), VALUES, ids=lambda value: ascii(value)[:30])
def test_a_value_that_cannot_be_is_a_400(asgi, asked, field, words) -> None:
    error = refused(asgi.request("POST", ROWS, json=asked), 400, "refused")
    assert error["field"] == field and words in error["message"]


def test_hostile_searches_are_characters_like_others(asgi, rows) -> None:
    for search in ("a+", "(x", "[b]", "\\d", ".*", "\0", "%", "' OR 1=1", "$(id)", "\u202e"):
        page = asgi.request("POST", ROWS, json={"search": search, "field": "both"}).json()
        assert page["total"] == len(naive.found(rows, {"search": search, "field": "both"}))
    assert page["total"] == 0 and page["summary"]["mean_fve_centred_own"] is None


def test_a_search_of_megabytes_is_refused_at_once(asgi) -> None:
    begun = process_time()
    answer = asgi.request("POST", ROWS, json={"search": "ab " * 3_500_000})
    assert refused(answer, 422, "invalid")["field"] == "search" and len(answer.body) < 1000
    assert process_time() - begun < 2


def test_behind_the_last_row_the_page_is_empty(asgi, rows) -> None:
    page = asgi.request("POST", ROWS, json={"offset": 2**31 - 1}).json()
    assert page["rows"] == [] and page["total"] == page["summary"]["num_rows"] == len(rows)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "rows"), ("GET", "rows/0"), ("GET", "passages"), ("POST", "claims")],
)
def test_an_evaluation_that_is_not_there_is_a_404(asgi, method, path) -> None:
    asked = {"passage_id": "a", "texts": ["a"]} if path == "claims" else {}
    answer = asgi.request(
        method, f"/v1/evaluations/other/{path}", json=asked if method == "POST" else None
    )
    error = refused(answer, 404, "not_found")
    assert error["field"] == "name" and "here are: demo" in error["message"]


def test_a_server_without_evaluations_has_an_empty_list() -> None:
    assert client({}).request("GET", "/v1/evaluations").json() == {"data": [], "refused": []}
    error = refused(client({}).request("POST", ROWS, json={}), 404, "not_found")
    assert "here are: none" in error["message"]


def test_a_token_is_needed_where_there_is_one(folder) -> None:
    guarded = client({"demo": folder}, token="secret")
    refused(guarded.request("GET", "/v1/evaluations"), 401, "no_token")
    refused(guarded.request("POST", ROWS, json={}), 401, "no_token")
    headers = {"authorization": "Bearer secret"}
    assert guarded.request("POST", ROWS, json={}, headers=headers).status == 200


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: flipped(folder / "rows/toy-b.parquet"), "is not as it was published"),
    (lambda folder: flipped(folder / "passages.parquet"), "is not as it was published"),
    (lambda folder: (folder / "rows/toy-b.parquet").unlink(), "toy-b.parquet is missing"),
    (lambda folder: (folder / "rows/x.parquet").touch(), "is none of the files"),
    (lambda folder: flipped(folder / "artifact.json"), "delete the folder"),
    (lambda folder: (folder / "artifact.json").unlink(), "no finished evaluation"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=range(len(DAMAGES)))
def test_a_damaged_evaluation_is_refused_and_others_are_not(tmp_path, damage, words) -> None:
    folders = {label: stored_evaluation(tmp_path, label) for label in ("demo", "other")}
    damage(folders["demo"])
    asgi = client(folders)
    listed = asgi.request("GET", "/v1/evaluations").json()
    assert [one["name"] for one in listed["data"]] == ["other"]
    assert [one["name"] for one in listed["refused"]] == ["demo"]
    assert words in listed["refused"][0]["message"]
    assert words in refused(asgi.request("POST", ROWS, json={}), 503, "not_available")["message"]
    assert asgi.request("POST", "/v1/evaluations/other/rows", json={}).status == 200


def test_nothing_is_written_where_an_evaluation_lies(folder) -> None:
    root = folder.parents[1]
    before = sorted(root.rglob("*"))
    assert client({"demo": folder}).request("POST", ROWS, json={}).status == 200
    assert sorted(root.rglob("*")) == before


def test_an_evaluation_is_read_once_for_all_who_wait(folder, monkeypatch) -> None:
    read = RowTable.read
    opened: list[Path] = []
    monkeypatch.setattr(RowTable, "read", lambda path: opened.append(path) or read(path))
    asgi = client({"demo": folder})
    assert asgi.request("GET", "/v1/evaluations").status == 200 and opened == []

    async def ask_often() -> list[Answer]:
        return await asyncio.gather(*(asgi.arequest("POST", ROWS, json={}) for _ in range(5)))

    assert {answer.status for answer in asyncio.run(ask_often())} == {200}
    assert asgi.request("GET", f"{ROWS}/3").status == 200
    assert opened == [folder]


def test_so_many_evaluations_are_in_memory_at_once(tmp_path, monkeypatch) -> None:
    folders = {label: stored_evaluation(tmp_path, label) for label in ("a", "bb", "ccc")}
    read = RowTable.read
    opened: list[str] = []
    monkeypatch.setattr(
        RowTable, "read", lambda path: opened.append(path.name.partition("-")[0]) or read(path)
    )
    asgi = client(folders, most_open=2)
    for name in ("a", "bb", "a", "ccc", "a", "bb"):
        assert asgi.request("POST", f"/v1/evaluations/{name}/rows", json={}).status == 200
    assert opened == ["a", "bb", "ccc", "bb"]


def test_an_evaluation_that_could_not_be_opened_is_tried_again(tmp_path) -> None:
    folder = stored_evaluation(tmp_path, "demo")
    asgi, path = client({"demo": folder}), folder / "rows/toy-a.parquet"
    content = path.read_bytes()
    path.unlink()
    refused(asgi.request("POST", ROWS, json={}), 503, "not_available")
    path.write_bytes(content)
    assert asgi.request("POST", ROWS, json={}).status == 200


def test_one_who_leaves_does_not_end_the_opening_for_others(folder, monkeypatch) -> None:
    asgi, read = client({"demo": folder}), RowTable.read
    opened: list[Path] = []
    monkeypatch.setattr(RowTable, "read", lambda path: opened.append(path) or read(path))

    async def ask() -> Answer:
        leaves = asgi.arequest("POST", ROWS, json={}, leave_if=lambda _: True)
        stays = asgi.arequest("POST", ROWS, json={})
        return (await asyncio.gather(leaves, stays))[1]

    assert asyncio.run(ask()).status == 200 and opened == [folder]


@pytest.fixture(scope="module")
def openapi(asgi: Asgi) -> dict[str, Any]:
    found: dict[str, Any] = asgi.request("GET", "/openapi.json").json()
    return found


def schema_of(openapi: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema["$ref"].removeprefix("#/components/schemas/")
    return openapi["components"]["schemas"][name] | {"components": openapi["components"]}


ROUTES = {
    "/v1/evaluations": ("get", "/v1/evaluations", None),
    "/v1/evaluations/{name}/rows": ("post", ROWS, {"search": "farm", "field": "both"}),
    "/v1/evaluations/{name}/rows/{row}": ("get", f"{ROWS}/0", None),
    "/v1/evaluations/{name}/passages": ("get", PASSAGES, None),
}


@pytest.mark.parametrize("path", ROUTES)
def test_answers_are_what_the_description_says(asgi, openapi, path) -> None:
    method, url, asked = ROUTES[path]
    operation = openapi["paths"][path][method]
    assert operation["summary"] and operation["description"]
    answer = asgi.request(method.upper(), url, json=asked)
    assert answer.status == 200
    given = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema_of(openapi, given)).validate(answer.json())
    assert answer.body.isascii() and json.loads(answer.body)


def test_the_example_of_a_request_is_one(openapi, asgi) -> None:
    body = openapi["paths"]["/v1/evaluations/{name}/rows"]["post"]["requestBody"]
    schema = schema_of(openapi, body["content"]["application/json"]["schema"])
    (example,) = schema["examples"]
    assert schema["additionalProperties"] is False
    assert asgi.request("POST", ROWS, json=example).status == 200
    assert schema["properties"].keys() == RowsRequest.model_fields.keys()
