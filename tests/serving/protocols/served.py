"""Clients of apps over fake backends, and backends that complete, write, break and never end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate

import numpy as np
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from tests.serving.asgi import Asgi
from tests.serving.fake import HOST, FakeBackend, card, host_card

from interlingua.models.bundle.system import Sampling
from interlingua.models.bundle.verbalization import Verbalization
from interlingua.serving.backend import Backend, Card, Limits, Piece, Prompt, Token
from interlingua.serving.protocols.routers import every_router

LIMITS = Limits(max_positions=6, max_rows=5, max_new_tokens=300, max_description_chars=50)


@dataclass
class Over:
    """An app, made once, over these backends: to make it takes longer than most requests."""

    backends: Mapping[str, Backend]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = every_protocol()
        app.state.backends = self.backends
        await app(scope, receive, send)


@cache
def every_protocol() -> FastAPI:
    """An app of all routers."""
    app = FastAPI()
    for router in every_router():
        app.include_router(router)
    return app


def client(*backends: Backend, **more: Backend) -> Asgi:
    """A client of an app over these backends; the first is the default, called `toy`."""
    first = backends or (FakeBackend(card=card(limits=LIMITS)),)
    return Asgi(Over({"toy": first[0], **more}))


def whole_card() -> Card:
    """A bundle whose host was not cut."""
    return replace(card(), hosts={HOST: replace(host_card(HOST), is_whole=True)})


@dataclass
class Whole(FakeBackend):
    """Goes on with `and on it goes`, a word a piece."""

    card: Card = field(default_factory=whole_card)

    async def complete(self, host: str, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Piece]:
        self.asked.append((host, np.zeros(0), sampling))
        reading = await self.tokenize(host, prompt)
        first, behind = len(reading.tokens), len(reading.text)
        words = ["and", "on", "it", "goes"][: sampling.max_new_tokens]
        ends = [*accumulate((len(word) + 1 for word in words), initial=behind)]
        for count in range(1, len(words) + 1):
            text = "".join(f" {word}" for word in words[:count])
            tokens = tuple(
                Token(
                    text=f" {word}",
                    id=7,
                    position=first + place,
                    start=ends[place],
                    end=ends[place + 1],
                )
                for place, word in enumerate(words[:count])
            )
            is_last = count == len(words)
            done = Verbalization(None, text, -1.0, None) if is_last else None
            yield Piece(row=0, sample=0, text=text, done=done, tokens=tokens)


@dataclass
class Writer(FakeBackend):
    """Writes `text` a character a piece after any prompt; `prompts` holds what it was given."""

    text: str = "<explanation>\na farm\n</explanation>"
    prompts: list[tuple[list[str | np.ndarray], Sampling, bool]] = field(default_factory=list)
    num_pieces: int = 0

    async def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Piece]:
        self._check(HOST)
        self.prompts.append((list(parts), sampling, as_chat))
        most = min(len(self.text), sampling.max_new_tokens)
        try:
            for count in range(1, most + 1):
                await asyncio.sleep(0)
                self.num_pieces += 1
                text = self.text[:count]
                done = Verbalization(None, text, -1.0, None) if count == most else None
                is_cut = count == most < len(self.text)
                yield Piece(row=0, sample=0, text=text, done=done, num_tokens=count, is_cut=is_cut)
        except GeneratorExit:
            self.cancelled += 1
            raise


@dataclass
class Unclosed(FakeBackend):
    """Ends rows with these texts, whatever their tags are."""

    texts: Sequence[str] = ()
    reconstructed: list[Sequence[str]] = field(default_factory=list)

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        for row, text in enumerate(self.texts):
            done = Verbalization(None, text, -1.0, None)
            yield Piece(row=row, sample=0, text=text, done=done)

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        self.reconstructed.append(texts)
        await asyncio.sleep(0)
        return await super().reconstruct(texts, host)


@dataclass
class Breaking(FakeBackend):
    """Raises `error` behind the first piece."""

    error: Exception = field(default_factory=RuntimeError)

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        yield Piece(row=0, sample=0, text="<expl")
        raise self.error


@dataclass
class Endless(FakeBackend):
    """Draws on for as long as somebody waits."""

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        try:
            while True:
                await asyncio.sleep(0.001)
                yield Piece(row=0, sample=0, text="and")
        finally:
            self.cancelled += 1
