"""Connections to one server that are used again, each by one request at a time."""

import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from socket import socket
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from interlingua.serving.client.stopping import Stop

CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: a URL without user, query and fragment, and with no slash at its end."""

    url: str
    is_secure: bool
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The parts of a URL; raises ValueError, without what of the URL could be a secret."""
        parts = urlsplit(url)
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("url has a user, a query or a fragment; give a secret as the token")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {url!r}; it must be like http://127.0.0.1:8000")
        path = quote(parts.path.rstrip("/"), safe="/%")
        plain = f"{parts.scheme}://{parts.netloc}{path}"
        return cls(plain, parts.scheme == "https", parts.hostname, parts.port, path)


@dataclass(slots=True, eq=False)
class Line:
    """A connection, and its socket, which it lets go of itself before an answer ends."""

    connection: HTTPConnection
    socket: socket
    is_new: bool = True


class Connections:
    """As many connections as requests were under way at once."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._idle: list[Line] = []
        self._lock = threading.Lock()

    def taken(self) -> Line:
        """A connection that nobody uses; a new one where there is none."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        kind = HTTPSConnection if self._address.is_secure else HTTPConnection
        connection = kind(self._address.host, self._address.port, timeout=CONNECT_TIMEOUT_S)
        connection.connect()
        connection.sock.settimeout(self._timeout_s)
        return Line(connection, connection.sock)

    def give_back(self, line: Line) -> None:
        """Let others use a connection whose answer was read to its end."""
        line.is_new = False
        with self._lock:
            self._idle.append(line)

    def close(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.connection.close()


class Exchange:
    """A request on a connection, and its answer; at its end the connection is free, or closed."""

    response: HTTPResponse

    def __init__(self, connections: Connections, stop: Stop) -> None:
        self._connections, self._stop = connections, stop
        self.line = connections.taken()

    def send(self, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        """Send a POST of a body of JSON, or a GET, and wait for the head of the answer."""
        self._stop.add(self.line.socket)
        if body is None:
            self.line.connection.request("GET", path, headers=headers)
        else:
            json_headers = headers | {"Content-Type": "application/json"}
            self.line.connection.request("POST", path, body, json_headers)
        self.response = self.line.connection.getresponse()

    def close(self) -> None:
        """Leave: what the server does for this request is for nobody."""
        self._stop.discard(self.line.socket)
        self.line.connection.close()

    def __enter__(self) -> HTTPResponse:
        return self.response

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An answer whose rest was not read would be taken for the next one.
        if kind is None and self.response.isclosed() and not self.response.will_close:
            self._stop.discard(self.line.socket)
            self._connections.give_back(self.line)
        else:
            self.response.close()
            self.close()
