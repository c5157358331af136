"""How long to wait for a server that has no place for a request now. Knows no connection."""

import math
import time
from email.utils import parsedate_to_datetime

from interlingua.serving.client.errors import EndpointError
from interlingua.serving.client.stopping import Stop

BUSY = (429, 503)
SHORTEST_S, LONGEST_S = 0.05, 8.0  # between two attempts, where the server names no time
FIRST_S = 0.25


class Patience:
    """Waits between the attempts of one request, at most `limit_s` from the first that failed."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s, self._num_failed = limit_s, 0
        self._begun = 0.0

    def wait(self, error: EndpointError, seconds: float | None, stop: Stop) -> None:
        """Wait as long as the server says, else longer each time; raises `error` at the limit."""
        now = time.monotonic()
        if not self._num_failed:
            self._begun = now
        pause = min(FIRST_S * 2**self._num_failed, LONGEST_S) if seconds is None else seconds
        self._num_failed += 1
        if now - self._begun + pause > self._limit_s:
            message = (
                f"{error.message}; asked {self._num_failed} times, and the next would be later "
                f"than the patience of {self._limit_s:g} s"
            )
            raise EndpointError(error.url, message, error.status, error.field)
        stop.pause(max(pause, SHORTEST_S))


def seconds_of(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, a number or a date; None: it says nothing."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
