"""An OpenAI-compatible endpoint: one request, and what came of it. Knows no log and no budget.

The key stands in this process's environment and in the headers of requests: what leaves this file
is a text in which it is blotted out, and no error of the client's.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from interlingua.sources.teachers.chat_answer import (
    REFUSED,
    Answer,
    answer_in,
    messages_of,
    worst_usage,
)
from interlingua.specs.placement import TeachingPlacement
from interlingua.specs.teachers import ChatTeacher

FAILED, REJECTED = "num_failed", "num_rejected"
NO_KEY = "none"  # what endpoints that ask for no key are sent, because the client wants one
BLOTTED = "[key]"
LEAST_LETTERS = 8  # of a key: a shorter one is none, and may be part of any text
MOST_LETTERS = 300  # of what an endpoint says, in a line
MOST_WAIT_SECONDS = 600.0  # that an endpoint may ask for; a longer wait is the end of today's quota
# These may have reached the model before something on the way gave up.
MAY_BE_PAID = (408, 504, 524)
PASSING = (408, 409, 425, 429)
WRONG = {
    401: "refuses the key in {key}: put a valid one there",
    402: "wants money: top the account up",
    403: "forbids it: use a key in {key} that may ask this model",
    404: "has no model {model} or no chat at placement.teaching.url, which ends in /v1 for most",
}


class TeachingStopped(RuntimeError):
    """No explanation can be asked for: somebody has to set something first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A request without an answer: why, and whether it may be paid and another may do better."""

    why: str
    counted_as: str = FAILED
    may_be_paid: bool = False
    passes: bool = False
    wait_seconds: float | None = None  # that the endpoint asks for
    stops: bool = False  # no other row will do better either


class Endpoint(AbstractAsyncContextManager["Endpoint"]):
    """One model behind one address."""

    def __init__(self, teacher: ChatTeacher, place: TeachingPlacement) -> None:
        self._teacher, self._place, self._key = teacher, place, _key(place)
        self.host = urlsplit(place.url).netloc  # without user: the spec refuses one
        self._limit_name = "max_tokens"  # as most endpoints call it
        self._client: openai.AsyncOpenAI | None = None
        self._create: Callable[..., Awaitable[Any]] | None = None

    async def __aenter__(self) -> "Endpoint":
        # No retries of its own: each request is a line of the log and a part of the budget. No
        # timeout of its own either: that is of a read, and an endpoint may trickle.
        self._client = openai.AsyncOpenAI(
            base_url=self._place.url, api_key=self._key or NO_KEY, max_retries=0, timeout=None
        )
        # Imports half of the client, which is no time of the endpoint's.
        self._create = self._client.chat.completions.with_raw_response.create
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._client is not None
        await self._client.close()

    async def ask(self, text: str) -> Answer | Unanswered:
        """Send one request about a text."""
        assert self._create is not None
        limit_name, worst = self._limit_name, worst_usage(self._teacher.prompt, text)
        try:
            async with asyncio.timeout(self._place.timeout_seconds):
                response = await self._create(**self._request(text, limit_name))
        except (openai.APIError, TimeoutError) as error:
            caught = error
        else:
            found = answer_in(self._blotted(response.text), worst)
            if found is None:
                return Unanswered(why=self._short(response.text), passes=True)
            return found
        # Out of the block: an error of the client's must be no context of one of ours.
        return self._unanswered(caught, limit_name)

    def _request(self, text: str, limit_name: str) -> dict[str, Any]:
        prompt = self._teacher.prompt
        return {
            "model": self._teacher.model,
            "messages": messages_of(prompt, text),
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            limit_name: prompt.max_new_tokens,
        }

    def _unanswered(self, error: openai.APIError | TimeoutError, limit_name: str) -> Unanswered:
        if isinstance(error, openai.APIStatusError):
            return self._refused(error, limit_name)
        if isinstance(error, openai.APITimeoutError | TimeoutError):
            why = f"no answer within {self._place.timeout_seconds:g} s"
            return Unanswered(why=why, may_be_paid=True, passes=True)
        # Without a connection nothing was asked; one that broke may have carried the question.
        never_sent = isinstance(error.__cause__, httpx2.ConnectError)
        cause = type(error.__cause__ or error).__name__
        return Unanswered(why=f"no connection: {cause}", may_be_paid=not never_sent, passes=True)

    def _refused(self, error: openai.APIStatusError, limit_name: str) -> Unanswered:
        status, body = error.status_code, error.body
        message = body.get("message") if isinstance(body, dict) else None
        why = f"{status} {self._short(str(message or body or error.message))}"
        if status in WRONG or error.code == "insufficient_quota":
            return Unanswered(why=f"{self.host} {self._remedy(status)} ({why})", stops=True)
        if status in PASSING or status >= 500:
            wait = _asked_wait(error.response.headers)
            if wait is not None and wait > MOST_WAIT_SECONDS:
                line = f"{self.host} wants no request for {wait:.0f} s: go on then ({why})"
                return Unanswered(why=line, stops=True)
            may_be_paid = status in MAY_BE_PAID
            return Unanswered(why=why, may_be_paid=may_be_paid, passes=True, wait_seconds=wait)
        if limit_name == "max_tokens" and "max_completion_tokens" in why:
            self._limit_name = "max_completion_tokens"
            return Unanswered(why=why, passes=True, wait_seconds=0.0)
        is_refusal = "content_filter" in f"{error.code} {why}" or "content_policy" in str(
            error.code
        )
        return Unanswered(why=why, counted_as=REFUSED if is_refusal else REJECTED)

    def _remedy(self, status: int) -> str:
        key = f"${self._place.key_variable}" if self._place.key_variable else "no key_variable"
        return WRONG.get(status, WRONG[402]).format(key=key, model=self._teacher.model)

    def _short(self, text: str) -> str:
        return " ".join(self._blotted(text).split())[:MOST_LETTERS]

    def _blotted(self, text: str) -> str:
        has_key = self._key is not None and len(self._key) >= LEAST_LETTERS
        return text.replace(str(self._key), BLOTTED) if has_key else text


def _key(place: TeachingPlacement) -> str | None:
    if not place.url:
        raise TeachingStopped(
            "placement.teaching.url is empty: name the endpoint with --set "
            "placement.teaching.url=http://...:8000/v1"
        )
    if place.key_variable is None:
        return None
    if not (key := os.environ.get(place.key_variable, "").strip()):
        raise TeachingStopped(
            f"placement.teaching.key_variable is {place.key_variable}, and the environment has no "
            "such variable: export the key there, on every node that runs stages, or set "
            "placement.teaching.key_variable=none for an endpoint that asks for no key"
        )
    if not (key.isascii() and key.isprintable()):
        raise TeachingStopped(f"${place.key_variable} holds characters that no key has: export it")
    return key


def _asked_wait(headers: httpx2.Headers) -> float | None:
    """The seconds that the headers ask to wait: a number, or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
