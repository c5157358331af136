"""How far a teacher is that is asked elsewhere: rows, tokens, dollars, and the time that is left.

Counts one attempt: what was answered in an earlier one is done, and cost this one nothing.
"""

import time
from pathlib import Path

from interlingua.store.progress import MetricsLog

EVERY_SECONDS = 5.0
MINUTE = 60.0


class TeachingProgress:
    """Reports of a stage that explains; the driver shows the newest one."""

    def __init__(self, out: Path) -> None:
        self._log = MetricsLog(out, resume_step=0)
        self._num_rows = self._num_done = self._num_asked = self._tokens = 0
        self._dollars = 0.0
        self._started = time.monotonic()
        self._reported = float("-inf")

    def begin(self, num_rows: int) -> None:
        """Take note of how many rows there are, and that the first of them comes now."""
        self._num_rows, self._started = num_rows, time.monotonic()

    def add(self, num_rows: int, *, tokens: int, dollars: float, is_asked: bool) -> None:
        """Note that rows came to their end, and what they cost."""
        self._num_done += num_rows
        self._num_asked += num_rows if is_asked else 0
        self._tokens += tokens
        self._dollars += dollars
        now, is_done = time.monotonic(), self._num_done == self._num_rows
        if num_rows and (is_done or now - self._reported >= EVERY_SECONDS):
            self._reported = now
            self._report(now - self._started)

    def _report(self, seconds: float) -> None:
        # By those that were asked: what the log had took no time, and says nothing of the rest.
        left = (self._num_rows - self._num_done) * seconds / max(1, self._num_asked)
        self._log.append(
            self._num_done,
            num_steps=self._num_rows,
            tokens=self._tokens,
            dollars=self._dollars,
            minutes_left=left / MINUTE,
        )
