"""The page's files over HTTP: those and no others, to everybody, as a browser needs them."""

import gzip
import os
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from fastapi import APIRouter
from tests.serving.asgi import Asgi
from tests.serving.client.served import served
from tests.serving.fake import FakeBackend

from interlingua.serving.explorer.page import PACKED, page_folder, page_router
from interlingua.serving.own.app import Settings, make_app
from interlingua.serving.protocols.routers import every_router

REPOSITORY = Path(__file__).parents[3]
TOKEN = "a token"
FILES = {
    "index.html": "<!doctype html><title>Explorer</title>",
    "page.css": "p { color: black; }\n" * 100,
    "js/main.js": "export const a = 1;\n",
    "gallery/first.json": '{"a": "\u00e4"}',
    "mark.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
}
TYPES = {
    "": "text/html; charset=utf-8",
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "js/main.js": "text/javascript; charset=utf-8",
    "gallery/first.json": "application/json",
    "mark.svg": "image/svg+xml",
}
GUARDS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A page, beside what is none of it."""
    above: Path = tmp_path_factory.mktemp("above")
    made = above / "page"
    for name, text in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text, encoding="utf-8")
    (above / "page-of-others").mkdir()
    for other in ("notes.txt~", "../secret.json", "../page-of-others/secret.json"):
        (made / other).write_text("hush")
    (made / "link.json").symlink_to(above / "secret.json")
    (made / "linked").symlink_to(above / "page-of-others")
    return made


def client(folder: Path, *before: APIRouter, token: str | None = None) -> Asgi:
    routers = [*before, page_router(folder)]
    return Asgi(make_app({"toy": FakeBackend()}, Settings(token=token), routers))


@pytest.mark.parametrize("name", TYPES)
def test_every_file_is_there_with_its_type_and_guards(folder, name) -> None:
    answer = client(folder).request("GET", f"/explorer/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, TYPES[name])
    assert answer.body == FILES[name or "index.html"].encode()
    assert answer.headers["content-length"] == str(len(answer.body))
    assert GUARDS.items() <= answer.headers.items()


@pytest.fixture(scope="module")
def connection(folder) -> Iterator[HTTPConnection]:
    """To a server, which decodes a path once."""
    with served(client(folder).app) as url:
        made = HTTPConnection(url.removeprefix("http://"), timeout=10)
        yield made
        made.close()


@pytest.mark.parametrize(
    "path",
    [
        "../secret.json",
        "js/../../secret.json",
        "js/../index.html",
        "./index.html",
        "%2e%2e/secret.json",
        "%2e%2e%2fsecret.json",
        "%252e%252e%252fsecret.json",
        "..%5csecret.json",
        "js%5cmain.js",
        "..\\secret.json",
        "ABOVE/secret.json",
        "/ABOVE/secret.json",
        "js//main.js",
        "index.html/",
        "index.html%00",
        "%00",
        "%ed%a0%80",
        "js",
        "js/",
        "INDEX.HTML",
        "link.json",
        "linked/secret.json",
        "../page-of-others/secret.json",
        "notes.txt~",
        "a" * 5000,
    ],
)
def test_nothing_but_the_files_of_the_page_is_there(folder, connection, path) -> None:
    connection.request("GET", "/explorer/" + path.replace("ABOVE", str(folder.parent)))
    response = connection.getresponse()
    content = response.read()
    assert response.status == 404 and b'"not_found"' in content and b"hush" not in content
    connection.request("GET", "/explorer/js/main.js")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, FILES["js/main.js"].encode())


def test_of_what_did_not_change_nothing_is_sent_again(folder, tmp_path) -> None:
    asgi = client(folder)
    first = asgi.request("GET", "/explorer/page.css")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = asgi.request("GET", "/explorer/page.css", headers={"if-none-match": known})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert GUARDS.items() <= again.headers.items()
    other = asgi.request("GET", "/explorer/js/main.js", headers={"if-none-match": tag})
    assert (other.status, other.body) == (200, FILES["js/main.js"].encode())


def test_what_changed_is_sent_by_a_server_that_runs(tmp_path) -> None:
    asgi, file = client(tmp_path), tmp_path / "page.css"
    assert asgi.request("GET", "/explorer/page.css").status == 404
    file.write_text("a")
    tag = asgi.request("GET", "/explorer/page.css").headers["etag"]
    stamp = file.stat().st_mtime_ns
    file.write_text("b")  # as long, and as old
    os.utime(file, ns=(stamp, stamp))
    changed = asgi.request("GET", "/explorer/page.css", headers={"if-none-match": tag})
    assert (changed.status, changed.body) == (200, b"b")


def test_text_is_sent_small_to_whoever_takes_it(folder) -> None:
    asgi, takes = client(folder), {"accept-encoding": "br, gzip"}
    small = asgi.request("GET", "/explorer/page.css", headers=takes)
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) == len(small.body) < len(FILES["page.css"])
    assert gzip.decompress(small.body).decode() == FILES["page.css"]
    assert small.headers["etag"].startswith("W/")  # the same of both, as the bytes are not
    assert "Accept-Encoding" in small.headers["vary"]
    short = asgi.request("GET", "/explorer/js/main.js", headers=takes)
    assert "content-encoding" not in short.headers
    assert "content-encoding" not in asgi.request("GET", "/v1/models", headers=takes).headers


def test_head_says_what_get_would_send(connection) -> None:
    connection.request("HEAD", "/explorer/page.css")
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    assert response.headers["content-length"] == str(len(FILES["page.css"]))
    assert response.headers["content-type"] == TYPES["page.css"]
    connection.request("HEAD", "/explorer/nothing.css")
    response = connection.getresponse()
    assert (response.status, response.read()) == (404, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_is_done_to_a_file(folder, method) -> None:
    assert client(folder).request(method, "/explorer/index.html").status == 405


@pytest.mark.parametrize("path", ["/explorer", "/"])
def test_who_comes_near_is_sent_to_the_page(folder, path) -> None:
    answer = client(folder).request("GET", f"{path}?text=a%20b")
    assert (answer.status, answer.headers["location"]) == (307, "/explorer/?text=a%20b")


def test_behind_other_routers_a_client_still_asks_what_is_served_and_a_browser_comes_to_the_page(
    folder,
) -> None:
    asgi = client(folder, *every_router())
    assert asgi.request("GET", "/").json()["status"] == "ok"
    answer = asgi.request("GET", "/", headers={"accept": "text/html,*/*;q=0.8"})
    assert (answer.status, answer.headers["location"]) == (307, "/explorer/")
    assert asgi.request("GET", "/explorer/").status == 200


def test_the_page_is_open_where_there_is_a_token_and_nothing_else(folder) -> None:
    asgi = client(folder, *every_router(), token=TOKEN)
    for path in ("/explorer", "/explorer/", "/explorer/js/main.js"):
        assert asgi.request("GET", path).status in (200, 307)
        assert asgi.request("HEAD", path).status in (200, 307)
        assert asgi.request("POST", path).status == 401
    closed = (
        "/", "/v1/models", "/explorers", "/explorer/../v1/models", "/v1/models/explorer/",
        "/metrics", "//explorer/", "/docs", "/openapi.json", "/bundles/toy/explorer/",
    )  # fmt: skip
    for path in closed[:3] + closed[4:]:
        assert asgi.request("GET", path).status == 401, path
    assert client(folder, token=TOKEN).request("GET", "/").status == 401
    # For no other route than that of the files, which has no such file.
    assert asgi.request("GET", closed[3]).status == 404


def test_where_the_server_lies_below_a_path_that_path_opens_nothing(folder) -> None:
    asgi = client(folder, token=TOKEN)
    for root in ("/explorer", "/nla"):
        below = Below(asgi, root)
        assert below.request("GET", f"{root}/v1/models").status == 401
        assert below.request("GET", f"{root}/explorer/").status == 200
        location = below.request("GET", f"{root}/explorer").headers["location"]
        assert location == f"{root}/explorer/"


class Below(Asgi):
    """A client of an app that is served below a path."""

    def __init__(self, asgi: Asgi, root: str) -> None:
        async def app(scope, receive, send) -> None:
            await asgi.app(scope | {"root_path": root}, receive, send)

        super().__init__(app)


def test_what_answers_first_decides_whether_it_is_open(folder) -> None:
    other = APIRouter()

    @other.get("/explorer/{name}")
    async def secret(name: str) -> str:
        return "hush"

    asgi = client(folder, other, token=TOKEN)
    assert asgi.request("GET", "/explorer/index.html").status == 401
    assert asgi.request("GET", "/explorer/js/main.js").status == 200


def test_files_are_in_no_description(folder) -> None:
    paths = client(folder).request("GET", "/openapi.json").json()["paths"]
    assert not [path for path in paths if "explorer" in path or path == "/"]


def test_in_a_checkout_the_page_is_that_of_the_repository_and_every_file_of_it_is_served() -> None:
    assert page_folder() == REPOSITORY / "serve/explorer"
    asgi = client(page_folder())
    names = [
        path.relative_to(page_folder()).as_posix()
        for path in page_folder().rglob("*")
        if path.is_file()
    ]
    assert {"index.html", "js/main.js"} <= {*names}
    for name in ("", *names):
        assert asgi.request("GET", f"/explorer/{name}").status == 200, name


def test_in_a_wheel_the_page_lies_beside_the_code(tmp_path, monkeypatch) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["only-include"]} == {*wheel["sources"]}
    inside = PACKED.relative_to(REPOSITORY / "platform").as_posix()
    assert wheel["sources"]["serve/explorer"] == inside
    assert not PACKED.exists()  # in a checkout it would hide the page that is worked on
    monkeypatch.setattr("interlingua.serving.explorer.page.PACKED", tmp_path)
    assert page_folder() == tmp_path
