"""Many rows asked at once: pace, waits, attempts, and a stop that waits for what is in flight."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from interlingua.sources.teachers.chat_answer import REFUSED, Answer, worst_usage
from interlingua.sources.teachers.chat_budget import Budget
from interlingua.sources.teachers.chat_endpoint import Endpoint, TeachingStopped, Unanswered
from interlingua.sources.teachers.chat_log import AnswerLog
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.teachers import ChatTeacher

LEAST_IN_A_ROW = (
    20  # rows without an answer, all others answered none meanwhile: it is the endpoint
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often a request is sent, and the waits between: doubled, and shortened by chance."""

    attempts: int = 6
    first_seconds: float = 1.0
    most_seconds: float = 60.0

    def seconds(self, attempt: int, asked: float | None) -> float:
        """The wait behind an attempt, which is never shorter than what the endpoint asks for."""
        own = min(self.most_seconds, self.first_seconds * 2**attempt) * random.uniform(0.5, 1.0)
        # Those that were turned away together must not come back together.
        return own if asked is None else asked + min(own, self.first_seconds) * random.random()


class Row(NamedTuple):
    """What is asked: a text, and what its answer is known by."""

    key: str
    text: str


class Pace:
    """The times at which requests may go out: so many a minute, and none while one must wait."""

    def __init__(self, per_minute: int | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._closed_until = 0.0

    def seconds(self) -> float:
        """The wait of the next request, which takes its turn."""
        now = time.monotonic()
        turn = max(now, self._next, self._closed_until)
        self._next = turn + self._gap
        return turn - now

    def close(self, seconds: float) -> None:
        """Let nothing out for so long: the endpoint asked for it."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What rows are asked by; `is_ours` ends with the right of this process to ask."""

    teacher: ChatTeacher
    place: TeachingPlacement
    endpoint: Endpoint
    log: AnswerLog
    budget: Budget
    pace: Pace
    backoff: Backoff
    is_ours: Callable[[], bool]
    on_answer: Callable[[Answer], None]


def asked(means: Means, rows: Sequence[Row]) -> dict[str, str]:
    """Ask all rows; what those without an answer are counted as, by key.

    Raises TeachingStopped where that ended early, once nothing is in flight any more.
    """
    if not rows:
        return {}
    batch = _Batch(means, rows)
    try:
        asyncio.run(batch.run())
    except ExceptionGroup as several:
        error = several.exceptions[0]
    else:
        error = None
    finally:
        means.log.close()
    if error is not None:
        raise error
    if batch.stop_line is not None:
        raise TeachingStopped(batch.stop_line)
    return batch.reasons


class _Batch:
    """Rows that are asked together, in one event loop."""

    def __init__(self, means: Means, rows: Sequence[Row]) -> None:
        self._by, self._rows = means, iter(rows)
        self._stopping, self._syncing = asyncio.Event(), asyncio.Lock()
        self._landed = asyncio.Condition()
        self._num_in_flight = self._num_in_a_row = 0
        self.stop_line: str | None = None
        self.reasons: dict[str, str] = {}

    async def run(self) -> None:
        """Ask the rows, so many at once; each worker takes the next one."""
        async with self._by.endpoint, asyncio.TaskGroup() as workers:
            for _ in range(self._by.place.concurrency):
                workers.create_task(self._work())

    async def _work(self) -> None:
        for row in self._rows:
            if self.stop_line is not None:
                return
            await self._ask(row)

    async def _ask(self, row: Row) -> None:
        for attempt in range(self._by.backoff.attempts):
            await self._turn()
            if not await self._is_noted(row):
                return
            found = await self._sent(row)
            if isinstance(found, Answer):
                return
            if found.stops:
                self._end(found.why)
                return
            if not found.passes or attempt + 1 == self._by.backoff.attempts:
                self._give_up(row, found)
                return
            await self._wait(attempt, found.wait_seconds)

    async def _is_noted(self, row: Row) -> bool:
        """Note that the row is asked now; where that must not be, end everything."""
        by = self._by
        worst = worst_usage(by.teacher.prompt, row.text).plus(by.log.beyond)
        excess = partial(by.budget.excess, worst=worst) if by.budget.is_limited else None
        async with self._landed:
            while self.stop_line is None:
                if not by.is_ours():
                    self._end("another process builds this stage by now: this one must ask no more")
                elif (limit := by.log.ask(row.key, worst, excess)) is None:
                    self._num_in_flight += 1
                    return True
                elif self._num_in_flight:
                    # What is in flight may take less than it might have: then there is space again.
                    await self._landed.wait()
                else:
                    line = by.budget.stop_line(limit, by.log.spent(), worst, by.log.num_answers)
                    self._end(line)
        return False

    async def _sent(self, row: Row) -> Answer | Unanswered:
        """What came of the request, which is in the log by then."""
        await self._synced()
        found = await self._by.endpoint.ask(row.text)
        if isinstance(found, Answer):
            self._num_in_a_row = 0
            self._by.log.answered(row.key, found)
            self._by.on_answer(found)
        else:
            self._by.log.unanswered(row.key, found.why, may_be_paid=found.may_be_paid)
        async with self._landed:
            self._num_in_flight -= 1
            self._landed.notify_all()
        return found

    def _give_up(self, row: Row, last: Unanswered) -> None:
        self.reasons[row.key] = last.counted_as
        # A refusal is the endpoint's considered opinion of one text.
        self._num_in_a_row = 0 if last.counted_as == REFUSED else self._num_in_a_row + 1
        if self._num_in_a_row >= max(LEAST_IN_A_ROW, 2 * self._by.place.concurrency):
            self._end(
                f"{self._by.endpoint.host} answered none of {self._num_in_a_row} rows in a row, "
                f"the last one with: {last.why}; see to it and run the same command again"
            )

    def _end(self, line: str) -> None:
        self.stop_line = self.stop_line or line
        self._stopping.set()

    async def _turn(self) -> None:
        await self._sleep(self._by.pace.seconds())

    async def _wait(self, attempt: int, asked: float | None) -> None:
        if asked:
            self._by.pace.close(asked)
        await self._sleep(self._by.backoff.seconds(attempt, asked))

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless all of it stops."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _synced(self) -> None:
        """Wait until what was written is on the disk; one flush serves all that wait for it."""
        log = self._by.log
        number = log.num_written
        async with self._syncing:
            if log.num_synced < number:
                await asyncio.to_thread(log.sync)
