"""Items that wait for a model and are run together. Knows no model.

One thread runs them, as many at once as a budget allows. Where a run fails each of its items is run
alone, so that the one at fault fails alone: its client hears of it as of any other wrong input.
Where several fail alone, and all in one way, it is the model that is not available.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from interlingua.serving.backend import Busy, NotAvailable, Refused, TimedOut
from interlingua.serving.engines.failures import EXPECTED, are_alike, of_model, words

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    cost: int
    deadline: float
    future: "Future[Result]" = field(default_factory=Future)


class Batcher(Generic[Item, Result]):
    """Runs `run` on waiting items in a thread of its own.

    Items of one batch cost at most `budget` together; one that costs more runs alone. More than
    `max_waiting` cost in the queue is Busy, unless the queue is empty. `field` is what an item is
    in a request.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        field: str,
        budget: int,
        max_waiting: int,
    ) -> None:
        self._field = field
        self._call, self._budget, self._max_waiting = run, budget, max_waiting
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._cost = 0  # of what waits
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item, *, cost: int, timeout_s: float) -> "Future[Result]":
        """Queue an item; a future that is cancelled before its turn is never run."""
        one: _Waiting[Item, Result] = _Waiting(item, cost, time.monotonic() + timeout_s)
        with self._changed:
            if self._is_closing:
                raise Busy("the server is shutting down")
            if self._waiting and self._cost + cost > self._max_waiting:
                raise Busy(f"{len(self._waiting)} requests wait already")
            self._waiting.append(one)
            self._cost += cost
            self._changed.notify()
        return one.future

    def close(self) -> None:
        """Answer what was taken in, then end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            now = time.monotonic()
            for one in batch:
                if now > one.deadline and one.future.set_running_or_notify_cancel():
                    one.future.set_exception(TimedOut("the request took longer than it may"))
            live = [
                one
                for one in batch
                if not one.future.done() and one.future.set_running_or_notify_cancel()
            ]
            if live:
                self._answer(live)

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        """Wait for items; none when all are answered and the batcher is closed."""
        with self._changed:
            while not self._waiting:
                if self._is_closing:
                    return []
                self._changed.wait()
            batch = [self._waiting.popleft()]
            cost = batch[0].cost
            while self._waiting and cost + self._waiting[0].cost <= self._budget:
                batch.append(self._waiting.popleft())
                cost += batch[-1].cost
            self._cost -= cost
            return batch

    def _answer(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        error = self._ran(batch)
        if error is None:
            return
        errors = [error] if len(batch) == 1 else [self._ran([one]) for one in batch]
        is_model = len(batch) > 1 and are_alike(errors)
        for one, error in zip(batch, errors, strict=True):
            if error is not None:
                one.future.set_exception(self._of_one(error, is_model))

    def _ran(self, batch: Sequence[_Waiting[Item, Result]]) -> Exception | None:
        """Answer items that are run together; the error where they cannot be."""
        try:
            results = self._call([one.item for one in batch])
        except Exception as error:
            return error
        for one, result in zip(batch, results, strict=True):
            one.future.set_result(result)
        return None

    def _of_one(self, error: Exception, is_model: bool) -> Exception:
        if isinstance(error, EXPECTED):
            return error
        logger.error("the model fails on one item", exc_info=error)
        if is_model:
            return NotAvailable(of_model(error))
        return Refused(self._field, f"the model fails on it: {words(error)}")
