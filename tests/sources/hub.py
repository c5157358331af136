"""A hub of one's own on a free port: the routes that huggingface_hub asks, and what may go wrong.

Imports nothing of huggingface_hub, so that a test can serve another process as well.
"""

import hashlib
import json
import os
import re
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
GOOD_TOKEN = "hf_good"
API = re.compile(r"/api/(dataset|model)s/([^/]+/[^/]+)/(tree|revision)/([^/]+)$")
RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")


class FakeHub:
    """What the hub has, what it refuses, and what it was asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}  # "datasets/org/name" -> files
        self.gated: set[str] = set()
        self.tokens: set[str] = set()  # that came with a request
        self.holds: dict[str, threading.Event] = {}  # a file whose second half waits for this
        self.status: dict[str, int] = {}  # of a file or "tree": answered instead
        # Of a file or "tree": after how many bytes each answer ends; then it is whole. -1: a reset.
        self.cuts: dict[str, list[int]] = defaultdict(list)
        self.asked: list[str] = []  # "GET name", "GET name bytes=10-"
        self.is_hub = True  # else the headers of one are missing
        self.url = ""

    def add(self, name: str, files: dict[str, bytes], *, kind: str = "dataset") -> None:
        """Serve a repository, at COMMIT."""
        self.repositories[f"{'datasets/' if kind == 'dataset' else ''}{name}"] = files

    def downloads(self) -> list[str]:
        """The files that were asked for, in order, without the one that every repository has."""
        return [line[4:] for line in self.asked if line.startswith("GET ") and ".git" not in line]

    def environment(self, home: Path) -> dict[str, str]:
        """The variables of a process that is to use this hub, and a cache of its own."""
        mine = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }
        hidden = {"HF_TOKEN", "HF_HUB_CACHE", "TRANSFORMERS_OFFLINE"}
        return {name: value for name, value in os.environ.items() if name not in hidden} | mine


@contextmanager
def serving() -> Iterator[FakeHub]:
    """A hub that answers until the block ends."""
    hub = FakeHub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use(hub: FakeHub, home: Path, monkeypatch) -> None:
    """Turn this process to the hub until the test ends; it is online, without a token."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    close_session()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if found := API.match(path):
            kind, name, what, revision = found.groups()
            name = f"datasets/{name}" if kind == "dataset" else name
            if self._is_there(name, revision):
                self._describe(name, what)
        elif found := RESOLVE.match(path):
            kind, name, revision, file = found.groups()
            if self._is_there(f"{kind or ''}{name}", revision):
                self._file(f"{kind or ''}{name}", file)
        else:
            self._refuse(404, "")

    def _is_there(self, name: str, revision: str) -> bool:
        if name not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif revision not in (COMMIT, "main"):
            self._refuse(404, "RevisionNotFound")
        else:
            return True
        return False

    def _describe(self, name: str, what: str) -> None:
        if status := self.hub.status.get("tree"):
            return self._refuse(status, "")
        files = self.hub.repositories[name]
        tree = [
            {"type": "file", "path": file, "size": len(content), "oid": _git_sha1(content)}
            for file, content in files.items()
        ]
        info = {"id": name.removeprefix("datasets/"), "sha": COMMIT}
        cut = self.hub.cuts["tree"].pop(0) if self.hub.cuts["tree"] else None
        self._send(json.dumps(tree if what == "tree" else info).encode(), {}, cut=cut)
        return None

    def _file(self, name: str, file: str) -> None:
        asked = self.headers.get("Range", "")
        self.hub.asked.append(f"{self.command} {file} {asked}".strip())
        if token := self.headers.get("Authorization"):
            self.hub.tokens.add(token.removeprefix("Bearer "))
        is_allowed = token == f"Bearer {GOOD_TOKEN}"
        if name in self.hub.gated and not is_allowed:
            return self._refuse(401, "GatedRepo")
        if status := self.hub.status.get(file):
            return self._refuse(status, "")
        if file not in self.hub.repositories[name]:
            return self._refuse(404, "EntryNotFound")
        content = self.hub.repositories[name][file]
        headers = {"ETag": f'"{_etag(file, content)}"'}
        if self.hub.is_hub:
            headers["X-Repo-Commit"] = COMMIT
        cut = self.hub.cuts[file].pop(0) if self.command == "GET" and self.hub.cuts[file] else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else None
        hold = self.hub.holds.get(file) if self.command == "GET" else None
        return self._send(content, headers, start=start, cut=cut, hold=hold)

    def _send(
        self,
        content: bytes,
        headers: dict[str, str],
        *,
        start: int | None = None,
        cut: int | None = None,
        hold: threading.Event | None = None,
    ) -> None:
        self.send_response(200 if start is None else 206)
        if start is not None:
            total = len(content)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            content = content[start:]
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if hold is not None:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            hold.wait()
            content = content[len(content) // 2 :]
        if self.command == "GET":
            self.wfile.write(content if cut is None else content[: max(cut, 0)])
        if cut == -1:
            self._reset()

    def _reset(self) -> None:
        # Lingering for no time: the other end sees a reset and not the end of the answer.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _etag(file: str, content: bytes) -> str:
    """As the hub has it: the SHA-256 of large files, git's hash of small ones."""
    if file.endswith((".safetensors", ".bin", ".model")):
        return hashlib.sha256(content).hexdigest()
    return _git_sha1(content)


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()
