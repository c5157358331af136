"""Requests to one server: connections, a token, and patience with a server that is busy.

Knows JSON and events, and no route. Every request of this package may be sent twice: none of them
changes anything.
"""

import json
from collections.abc import Callable, Generator
from http.client import HTTPException
from typing import Any, TypeVar

from interlingua.serving.client.connections import Address, Connections, Exchange
from interlingua.serving.client.errors import EndpointError, fault_in, fault_of
from interlingua.serving.client.events import contents_of
from interlingua.serving.client.patience import BUSY, Patience, seconds_of
from interlingua.serving.client.stopping import Stop

Result = TypeVar("Result")
# How a connection looks that the server closed because nobody used it.
CLOSED = (BrokenPipeError, ConnectionResetError)  # RemoteDisconnected is one of the second
OK = 200
NO_TOKEN = (401, 403)
GIVE_TOKEN = "give the server's token as `token`, or in INTERLINGUA_TOKEN"


class Transport:
    """Sends requests; many threads may use it, each has a connection of its own meanwhile.

    A request waits at most `patience_s` in all for a server that is busy, or that went away after
    it was there. Its answer may take `timeout_s` from one part to the next.
    """

    def __init__(self, url: str, token: str | None, *, patience_s: float, timeout_s: float) -> None:
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise ValueError("token must be of printable ASCII characters, and not empty")
        self._address = Address.of(url)
        self._connections = Connections(self._address, timeout_s)
        self._patience_s, self._timeout_s = patience_s, timeout_s
        self._headers = {"Accept": "application/json"}
        if token is not None:  # the second is what Neuronpedia's server reads
            self._headers |= {"Authorization": f"Bearer {token}", "X-SECRET-KEY": token}
        self._was_reached = False

    @property
    def url(self) -> str:
        """The address of the server; nothing in it is secret."""
        return self._address.url

    def ask(self, path: str, body: bytes | None, stop: Stop) -> Any:
        """The JSON that is answered to a POST of a body, or to a GET."""

        def once() -> bytes:
            with self._begun(path, body, stop) as response:
                return response.read()

        answer = self._patiently(once, path, stop)
        try:
            return json.loads(answer)
        except ValueError as error:
            message = f"the answer is no JSON: {error}"
            raise EndpointError(self.url + path, message, OK) from error

    def events(self, path: str, body: bytes, stop: Stop) -> Generator[Any, None, None]:
        """The contents of a stream of events; one that is an error is raised."""
        # What began is not begun again: somebody saw a part of it.
        exchange = self._patiently(lambda: self._begun(path, body, stop), path, stop)
        with exchange as response:
            try:
                for content in contents_of(response):
                    if (fault := fault_in(content)) is not None:
                        raise EndpointError(self.url + path, fault.message, None, fault.field)
                    yield content
                response.read()  # what is behind the last event, so that the connection is free
            except (OSError, HTTPException, ValueError) as error:
                stop.check()
                message = f"the stream broke off: {_words(error)}"
                raise EndpointError(self.url + path, message) from error

    def close(self) -> None:
        """Close connections that nobody uses."""
        self._connections.close()

    def _patiently(self, call: Callable[[], Result], path: str, stop: Stop) -> Result:
        """What a call gives, tried again while the server is busy or away."""
        patience = Patience(self._patience_s)
        while True:
            stop.check()
            try:
                return call()
            except _Busy as busy:
                error, seconds = busy.error, busy.seconds
            except TimeoutError as late:  # it may still be at work: a second one would add to it
                message = f"no answer came within {self._timeout_s:g} s"
                raise EndpointError(self.url + path, message) from late
            except (OSError, HTTPException) as broken:
                stop.check()
                error = EndpointError(self.url + path, f"it cannot be reached: {_words(broken)}")
                if not self._was_reached:  # a wrong address does not become right
                    raise error from broken
                seconds = None
            patience.wait(error, seconds, stop)

    def _begun(self, path: str, body: bytes | None, stop: Stop) -> Exchange:
        """An answer that is no error; its body is to be read."""
        exchange = self._answered(path, body, stop)
        self._was_reached = True
        status, headers = exchange.response.status, exchange.response.headers
        if 200 <= status < 300:
            return exchange
        with exchange as response:
            fault = fault_of(response.read())
        message = fault.message
        if 300 <= status < 400:
            message = f"it is at {headers['Location']}; give that address"
        if status in NO_TOKEN:
            message += f"; {GIVE_TOKEN}"
        error = EndpointError(self.url + path, message, status, fault.field)
        if status in BUSY:
            raise _Busy(error, seconds_of(headers["Retry-After"]))
        raise error

    def _answered(self, path: str, body: bytes | None, stop: Stop) -> Exchange:
        while True:
            exchange = Exchange(self._connections, stop)
            try:
                exchange.send(self._address.path + path, body, self._headers)
                return exchange
            except CLOSED:
                exchange.close()
                stop.check()
                if exchange.line.is_new:
                    raise
            except BaseException:
                exchange.close()
                raise


class _Busy(Exception):
    """A server that has no place now, and when it says that it might."""

    def __init__(self, error: EndpointError, seconds: float | None) -> None:
        super().__init__(str(error))
        self.error, self.seconds = error, seconds


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
