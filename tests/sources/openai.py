"""An OpenAI-compatible endpoint of one's own on a free port, and what may go wrong with one.

Imports nothing of the product, so that it counts what it was asked by itself.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "fake-1-2026"  # as it names itself
USAGE = {"prompt_tokens": 15, "completion_tokens": 10, "total_tokens": 25}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: the what-th of all, and of those with this text."""

    number: int
    time_of_text: int
    text: str  # of the last message
    body: dict[str, Any]
    key: str  # behind Bearer
    at: float


@dataclass(kw_only=True)
class Reply:
    """What is answered; `drops` closes the connection instead, behind `seconds`."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    drops: bool = False

    def encoded(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


Script = Callable[[Asked], Reply]


def said(text: str | None, *, finish: str = "stop", usage: Any = USAGE, **message: Any) -> Reply:
    """An answer of the model."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    body = {"id": "x", "object": "chat.completion", "model": MODEL, "choices": [choice]}
    return Reply(body=body if usage is None else {**body, "usage": usage})


def failed(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    """An error, as OpenAI words one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body={"error": {"message": message, "code": code}}, status=status, headers=named)


def explaining(asked: Asked) -> Reply:
    """Says of every text what it is, another time in other words."""
    return said(f"It is about {asked.text} ({asked.time_of_text}).")


class FakeOpenAI:
    """What is answered, and what was asked."""

    def __init__(self, script: Script) -> None:
        self.script, self.url = script, ""
        self.asked: list[Asked] = []
        self.num_paid_tokens = self.num_together = self.most_together = 0
        self._times, self._lock = Counter[str](), threading.Lock()

    def times(self) -> Counter[str]:
        """How often each text was asked."""
        return Counter(one.text for one in self.asked)

    def reply(self, body: dict[str, Any], key: str) -> Reply:
        """The answer to a request, once its time has come."""
        text = body["messages"][-1]["content"]
        with self._lock:
            self._times[text] += 1
            asked = Asked(
                number=len(self.asked), time_of_text=self._times[text] - 1, text=text, body=body,
                key=key, at=time.monotonic(),
            )  # fmt: skip
            self.asked.append(asked)
            self.num_together += 1
            self.most_together = max(self.most_together, self.num_together)
        reply = self.script(asked)
        time.sleep(reply.seconds)
        with self._lock:
            self.num_together -= 1
            if isinstance(reply.body, dict):
                self.num_paid_tokens += reply.body.get("usage", {}).get("total_tokens", 0)
        return reply


@contextmanager
def served(script: Script = explaining) -> Iterator[FakeOpenAI]:
    """The endpoint, for the block."""
    fake = FakeOpenAI(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/v1/chat/completions":
                return self._send(Reply(body={"error": {"message": "no route"}}, status=404))
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            return self._send(fake.reply(json.loads(content), key))

        def _send(self, reply: Reply) -> None:
            if reply.drops:
                self.close_connection = True
                return
            content = reply.encoded()
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # whoever asked was killed, or did not wait

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A client that was killed is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
