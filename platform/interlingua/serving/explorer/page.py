"""The files of the explorer's page over HTTP. Knows no bundle, and nothing of what the page does.

They hold no secret and are open to everybody; what the page asks is not.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from interlingua.serving.http.access import OpenRoute
from interlingua.serving.protocols.neuronpedia import EXPLORER

# Where pyproject.toml puts the files in a wheel, and where they lie in a checkout.
PACKED = Path(__file__).parent / "files"
IN_CHECKOUT = Path(__file__).parents[4] / "serve" / "explorer"
INDEX = "index.html"
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # a part of a name
# What has none of these endings is no part of the page: an editor's copy, a folder's own files.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",  # a browser runs a module of no other type
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
# Nothing is run, shown or asked that is not of this server. Drawings become files by way of blobs.
SOURCES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": SOURCES,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for again each time: modules of two versions never meet.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
SHORTEST_GZIPPED = 1024  # bytes
FILE = ["GET", "HEAD"]


def page_folder() -> Path:
    """Where the page's files are: beside this code in an install, else in the repository."""
    return PACKED if PACKED.is_dir() else IN_CHECKOUT


def page_router(folder: Path) -> APIRouter:
    """The files of a folder below /explorer/, and the ways there."""
    router = APIRouter(route_class=OpenRoute, include_in_schema=False)

    async def page_file(name: str, request: Request) -> Response:
        """One of the files, as they are now; they are small, and read at once."""
        path = _file(folder, name or INDEX)
        if path is None:
            raise HTTPException(404)
        return _answer(path.read_bytes(), TYPES[path.suffix], request.headers)

    async def to_page(request: Request) -> Response:
        """The page's address, with what was asked of it."""
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(request.scope.get("root_path", "") + EXPLORER + query)

    router.add_api_route(EXPLORER + "{name:path}", page_file, methods=FILE)
    router.add_api_route(EXPLORER.rstrip("/"), to_page, methods=FILE)
    # Not open: where another router has it, that one answers.
    router.add_api_route("/", to_page, methods=FILE, route_class_override=APIRoute)
    return router


class _Gzipped(Response):
    """An answer that is sent small to whoever takes it so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await GZipMiddleware(super().__call__, SHORTEST_GZIPPED)(scope, receive, send)


def _file(folder: Path, name: str) -> Path | None:
    """The file of a name that is plain in every part; none that lies behind a link."""
    path = folder
    for part in name.split("/"):
        if not PLAIN.fullmatch(part):  # as nothing, two points, or what has a backslash
            return None
        path = path / part
        if path.is_symlink():
            return None
    return path if path.suffix in TYPES and path.is_file() else None


def _answer(content: bytes, media_type: str, asked: Mapping[str, str]) -> Response:
    digest = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = HEADERS | {"ETag": f"W/{digest}"}  # weak: the same whether gzipped or not
    known = {tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")}
    if known & {digest, "*"}:
        return Response(status_code=304, headers=headers)
    return _Gzipped(content, media_type=media_type, headers=headers)
