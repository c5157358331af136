"""Calls that run side by side, and end together: at the first error, or when they are stopped."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import TypeVar

Result = TypeVar("Result")


class Stopped(Exception):
    """What a call raises when those beside it were stopped. Nobody outside sees it."""


class Stop:
    """Ends what calls wait for: a pause between two attempts, or an answer."""

    def __init__(self) -> None:
        self._event, self._lock = threading.Event(), threading.Lock()
        self._sockets: set[socket] = set()

    def stop(self) -> None:
        """Let every call that has this raise Stopped; servers see that their clients leave."""
        self._event.set()
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):  # it was closed meanwhile
                    one.shutdown(SHUT_RDWR)

    def check(self) -> None:
        """Raises Stopped where it was stopped."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait so long; raises Stopped when it is stopped meanwhile."""
        if self._event.wait(seconds):
            raise Stopped

    def add(self, one: socket) -> None:
        """A socket that is shut when this is stopped; raises Stopped where it was."""
        with self._lock:
            self._sockets.add(one)
        self.check()  # it may have been stopped before the socket was known

    def discard(self, one: socket) -> None:
        """A socket that no answer is awaited on any more."""
        with self._lock:
            self._sockets.discard(one)


def in_order(calls: Sequence[Callable[[Stop], Result]], concurrency: int) -> list[Result]:
    """The results of all calls, in their order; so many of them run at a time.

    The first error ends all others and is raised, as Ctrl-C is.
    """
    stop = Stop()
    if len(calls) < 2 or concurrency < 2:
        return [call(stop) for call in calls]
    with ThreadPoolExecutor(min(concurrency, len(calls)), "endpoint") as pool:
        try:
            futures = [pool.submit(call, stop) for call in calls]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done() and (error := future.exception()) is not None:
                    raise error
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop.stop()
            raise
