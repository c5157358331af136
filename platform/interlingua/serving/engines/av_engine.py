"""The AV behind a queue. One thread owns it; samples join and leave between two steps.

Requests are checked before they are queued. What a request gets does not depend on what runs beside
it, and one that breaks the model fails alone: all that ran with it is begun again, in halves of
halves where they break it, too, and comes out as it would have.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from interlingua.models.bundle.drawn import spec_of, verbalization_of
from interlingua.models.pair.prompts import EmbeddedPrompt
from interlingua.models.sampling.batched import BatchVerbalizer
from interlingua.models.sampling.drawing import uniforms
from interlingua.models.sampling.ending import Decoded
from interlingua.models.sampling.running import Sample
from interlingua.models.sampling.session import Session
from interlingua.serving.backend import Busy, Limits, Piece, Refused, TimedOut
from interlingua.serving.engines.av_requests import Request, Row
from interlingua.serving.engines.failures import Failures

logger = logging.getLogger(__name__)

T = TypeVar("T")

# All that run pause while others join, as long for one as for several: few join together, at once
# if they are this share of those that run, else after so many steps.
GROUP_SHARE, MOST_PUT_OFF = 0.25, 4
# Of a step: how long a request that finds nobody running waits for more that come with it.
GATHER_SHARE = 0.25
UNFINISHED = "\ufffd"  # the beginning of a character whose last bytes are yet to come


class AvEngine:
    """Draws the texts of many requests together; made with an AV that nobody else uses."""

    def __init__(self, av: BatchVerbalizer, limits: Limits) -> None:
        self._av, self._limits = av, limits
        self._waiting: deque[Row] = deque()
        self._running: dict[int, tuple[Row, int]] = {}  # by the id of a sample
        self._changed = threading.Condition()
        self._is_closing = False
        self._num_put_off, self._step_s = 0, 0.0
        self._failures = Failures()
        self.num_steps = 0
        self._thread = threading.Thread(target=self._run, name="av-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Queue a request's rows; raises Refused for what can never run, Busy for a full queue."""
        sampling = request.sampling
        banned_V = _refusing("banned", lambda: self._av.banned(sampling.banned))
        prefix_ids = _refusing("prefix", lambda: self._av.prefix_ids(sampling.prefix))
        prompt = request.prompt or self._av.prompt(request.host).continued(prefix_ids)
        rows = [
            Row(request=request, number=number, prompt=prompt)
            for number in range(len(request.v_NE))
        ]
        if not rows:
            request.is_over = True
            request.on_pieces([])
            return
        self._check_fits(rows[0])
        # Where all rows have one key they share its numbers.
        keys = sampling.keys_of(len(rows)) if sampling.keys else sampling.keys_of(1)
        drawn_KNT = uniforms(keys, spec_of(sampling)).numpy().reshape(len(keys), sampling.n, -1)
        for row in rows:
            row.samples = [
                Sample(
                    uniforms_T=uniforms_T,
                    temperature=sampling.temperature,
                    banned_V=banned_V,
                    prefix_ids=tuple(prefix_ids),
                )
                for uniforms_T in drawn_KNT[row.number % len(keys)]
            ]
        with self._changed:
            if self._is_closing:
                raise Busy("the server is shutting down")
            if self._waiting and len(self._waiting) + len(rows) > self._limits.max_queued_rows:
                raise Busy(f"{len(self._waiting)} activations wait already")
            self._waiting.extend(rows)
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Draw no more of a request; its place is free before the next step."""
        request.is_over = True
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Answer what was taken in, then end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def num_waiting(self) -> int:
        """Activations in the queue."""
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        """Samples that are being drawn."""
        return len(self._running)

    def _check_fits(self, row: Row) -> None:
        sampling, limits = row.request.sampling, self._limits
        if sampling.n > limits.max_batch_rows:
            raise Refused("n", f"n is {sampling.n}; at most {limits.max_batch_rows} run together")
        if row.num_tokens > limits.max_batch_tokens:
            raise Refused(
                "max_new_tokens",
                f"n x (prompt + max_new_tokens) is {row.num_tokens} tokens; at most "
                f"{limits.max_batch_tokens} run together",
            )

    def _run(self) -> None:
        decoder = self._av.decoder
        with decoder.evaluating():
            session = decoder.session()
            while self._wait_for_work():
                try:
                    self._drop_over(session)
                    if self._is_time_to_join():
                        self._admit(session)
                    self._step(session)
                except Exception as error:  # the thread must outlive every request
                    logger.exception("a step of the AV failed")
                    session = decoder.session()
                    self._begin_again(error)
                if self._failures.are_open:
                    self._settle()

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not self._waiting and not self._running:
                if self._is_closing:
                    return False
                self._changed.wait()
            if not self._running:
                self._gather()
        return True

    def _gather(self) -> None:
        """Wait a moment for requests that come together, as long as more come: at most a step."""
        until = time.monotonic() + self._step_s
        while not self._is_closing and time.monotonic() < until:
            num_waiting = len(self._waiting)
            self._changed.wait(GATHER_SHARE * self._step_s)
            if len(self._waiting) == num_waiting:
                return

    def _is_time_to_join(self) -> bool:
        """Whether those who wait and have a place join before the next step."""
        room = self._limits.max_batch_rows - len(self._running)
        num_joining = min(len(self._waiting), room)
        if num_joining < 1:
            self._num_put_off = 0
            return False
        if num_joining < GROUP_SHARE * len(self._running) and self._num_put_off < MOST_PUT_OFF:
            self._num_put_off += 1
            return False
        self._num_put_off = 0
        return True

    def _drop_over(self, session: Session) -> None:
        """Take out rows of requests that were cancelled, failed, or are late."""
        now = time.monotonic()
        with self._changed:
            queued = [row.request for row in self._waiting]
        for request in {*queued, *(row.request for row, _ in self._running.values())}:
            if not request.is_over and now > request.deadline:
                request.end(TimedOut("the request took longer than it may"))
        with self._changed:
            self._waiting = deque(row for row in self._waiting if not row.request.is_over)
        gone = {key: row for key, (row, _) in self._running.items() if row.request.is_over}
        session.leave([one for row in set(gone.values()) for one in row.samples])
        for key in gone:
            del self._running[key]

    def _admit(self, session: Session) -> None:
        """Let in waiting rows, the first first, as long as there is room; like ones together."""
        admitted = self._taken()
        # All of them first: where the model fails on one cohort the others are begun again, too.
        for row in admitted:
            for number, sample in enumerate(row.samples):
                self._running[id(sample)] = row, number
        while admitted:
            first = admitted[0]
            cohort = [row for row in admitted if row.is_like(first)]
            admitted = [row for row in admitted if not row.is_like(first)]
            v_BE = torch.stack([row.request.v_NE[row.number] for row in cohort])
            samples = [sample for row in cohort for sample in row.samples]
            prompt = first.prompt
            if isinstance(prompt, EmbeddedPrompt):
                drawn = session.join_embedded(prompt, samples)
            else:
                drawn = session.join(prompt, v_BE.to(prompt.ids_T.device), samples)
            self._deliver(session, drawn)

    def _taken(self) -> list[Row]:
        taken: list[Row] = []
        rows = {row for row, _ in self._running.values()}
        num_samples = len(self._running)
        num_tokens = sum(row.num_tokens for row in rows)
        with self._changed:
            while self._waiting:
                row = self._waiting[0]
                num_samples += row.request.sampling.n
                num_tokens += row.num_tokens
                is_full = (
                    num_samples > self._limits.max_batch_rows
                    or num_tokens > self._limits.max_batch_tokens
                )
                is_apart = any(one.suspects is not row.suspects for one in (*rows, *taken))
                if (rows or taken) and (is_full or is_apart):
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _step(self, session: Session) -> None:
        if self._running:
            self.num_steps += 1
            begun = time.monotonic()
            drawn = session.step()
            self._step_s = time.monotonic() - begun
            self._deliver(session, drawn)

    def _deliver(self, session: Session, drawn: Sequence[Sample]) -> None:
        """Hand out what a step drew: ends of samples, and what is so far to whoever wants it."""
        pieces: dict[Request, list[Piece]] = {}
        for sample in drawn:
            row, number = self._running[id(sample)]
            request = row.request
            if sample.has_ended:
                del self._running[id(sample)]
            elif not request.wants_partial:
                continue
            if number in row.handed_out:
                continue  # it is drawn again beside a sample that was broken off
            if sample.has_ended:
                self._failures.drawn()
                row.handed_out.add(number)
                request.num_left -= 1
            piece = _piece(row, number, sample, session.decoded(sample))
            pieces.setdefault(request, []).append(piece)
        for request, own in pieces.items():
            if not request.is_over:
                request.is_over = request.num_left == 0
                request.on_pieces(own)

    def _begin_again(self, error: Exception) -> None:
        """Queue what ran when the model failed, in two halves; a row that ran alone is at fault."""
        rows = list(dict.fromkeys(row for row, _ in self._running.values()))
        self._running.clear()
        if len(rows) == 1:
            self._failures.add(rows[0].request, error)
            return
        if rows[0].suspects is None:
            self._failures.begin()
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            suspects = object()
            for row in half:
                row.begin_again(suspects)
        with self._changed:
            self._waiting.extendleft(reversed(rows))

    def _settle(self) -> None:
        """End what failed alone, once no row of its batch is left to be drawn again."""
        with self._changed:
            rows = [*self._waiting, *(row for row, _ in self._running.values())]
        if all(row.suspects is None for row in rows):
            self._failures.settle()


def _piece(row: Row, number: int, sample: Sample, decoded: Decoded) -> Piece:
    share, has_ended = row.request.shares[row.number], sample.has_ended
    return Piece(
        row=row.number,
        sample=number,
        text=decoded.text if has_ended else decoded.text.rstrip(UNFINISHED),
        done=verbalization_of(decoded, share) if has_ended else None,
        num_tokens=len(sample.ids),
        is_cut=has_ended and sample.is_full and not sample.ended_itself,
    )


def _refusing(name: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except ValueError as error:
        raise Refused(name, str(error)) from error
