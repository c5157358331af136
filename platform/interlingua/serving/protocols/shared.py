"""What the protocols share: which bundle and host are meant, and texts with their scores.

Knows no shape of a request or an answer. h: raw activations [N, D] of a host.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import Path, Request

from interlingua.core.geometry import cosine
from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, Card, HostCard, NotAvailable, Piece, Refused
from interlingua.serving.http.access import notes_of
from interlingua.serving.http.disconnects import close
from interlingua.serving.http.errors import UnknownModel
from interlingua.serving.http.limits import COLDEST

OPENING, CLOSING = "<explanation>", "</explanation>"


def backend_of(request: Request) -> Backend:
    """The backend of the path parameter `bundle`; of the first bundle where there is none."""
    backends = backends_of(request)
    if not backends:
        raise NotAvailable("no bundle is open")
    name = request.path_params.get("bundle", next(iter(backends)))
    return named(request, backends, name, "bundle")


def backends_of(request: Request) -> Mapping[str, Backend]:
    """Bundles by name as they are now: all, or the one of the path parameter `bundle`."""
    backends: dict[str, Backend] = dict(request.app.state.backends)
    name = request.path_params.get("bundle")
    return {name: backends[name]} if name in backends else backends


def named(request: Request, backends: Mapping[str, Backend], name: str, field: str) -> Backend:
    """The backend of a bundle, noted for the log; UnknownModel names those that are there."""
    if name not in backends:
        raise UnknownModel(field, f"{field} is {name!a}; here are: {', '.join(backends)}")
    notes_of(request.scope).bundle = name
    return backends[name]


def note_rows(request: Request, count: int) -> None:
    """How many activations or texts a request is about, for the metrics."""
    notes_of(request.scope).rows = count


def declared_bundle(bundle: Annotated[str, Path(description="A bundle of this server.")]) -> None:
    """Declares the path parameter that `backend_of` reads, for routers under a prefix with it."""


def host_of(card: Card, tag: str | None, *, field: str = "host") -> HostCard:
    """The host of this tag; the anchor for None."""
    if tag is not None and tag not in card.hosts:
        known = ", ".join(card.hosts)
        raise Refused(field, f"{field} is {tag!a}; {card.name} knows: {known}")
    return card.hosts[card.anchor if tag is None else tag]


def check_most(field: str, count: int, most: int, unit: str) -> None:
    """Refused where a field asks for more than one request may."""
    if count > most:
        raise Refused(field, f"{field}: {count} {unit}; one request has at most {most}")


def sampling_of(temperature: float, max_new_tokens: int, seed: int | None) -> Sampling:
    """One text an activation; without a seed every request draws its own."""
    if temperature < COLDEST:  # as SGLang has it, too
        temperature = 0
    if seed is None:
        seed = 0 if temperature == 0 else secrets.randbelow(2**31)
    return Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed)


@asynccontextmanager
async def closing(pieces: AsyncIterator[Piece]) -> AsyncIterator[AsyncIterator[Piece]]:
    """A stream that is closed on every way out, so that the rest of it is not drawn."""
    try:
        yield pieces
    finally:
        await close(pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an activation was put into, and how near the AR's vector of that text is to it."""

    row: int
    text: str
    mse: float | None  # 2 (1 - cos); None: there is no text that the AR could read
    cosine: float | None


async def described(
    backend: Backend,
    host: HostCard,
    h_ND: np.ndarray,
    sampling: Sampling,
    *,
    wants_partial: bool = True,
) -> AsyncGenerator[Piece | Description]:
    """Texts as they become longer, and every row's description once it is scored; in any order.

    What ends while others are scored is scored next, together.
    """
    scoring: asyncio.Task[list[Description]] | None = None
    ended: list[Piece] = []
    drawn = backend.verbalize(host.tag, h_ND, sampling, wants_partial=wants_partial)
    async with closing(drawn) as pieces:
        try:
            async for piece in pieces:
                if piece.done is None:
                    yield piece
                else:
                    ended.append(piece)
                if scoring is not None and scoring.done():
                    for description in scoring.result():
                        yield description
                    scoring = None
                if ended and scoring is None:
                    scoring = asyncio.create_task(_scored(backend, host, h_ND, ended))
                    ended = []
            for description in await scoring if scoring is not None else ():
                yield description
            for description in await _scored(backend, host, h_ND, ended):
                yield description
        finally:
            if scoring is not None:
                scoring.cancel()


async def descriptions(
    backend: Backend, host: HostCard, h_ND: np.ndarray, sampling: Sampling
) -> list[Description]:
    """The description of every row, in order."""
    every = described(backend, host, h_ND, sampling, wants_partial=False)
    found = [one async for one in every if isinstance(one, Description)]
    return sorted(found, key=lambda one: one.row)


async def cosines(
    backend: Backend, host: HostCard, texts: Sequence[str], h_ND: np.ndarray
) -> list[float]:
    """The cosine between the AR's vector of every text and its activation."""
    found: list[float] = cosine(await backend.reconstruct(texts, host.tag), h_ND).tolist()
    return found


def nmse_of(cos: float) -> float:
    """The NMSE of two vectors at one norm: in [0, 4], 2 where they are orthogonal."""
    return 2 * (1 - cos)


async def _scored(
    backend: Backend, host: HostCard, h_ND: np.ndarray, ended: Sequence[Piece]
) -> list[Description]:
    texts = [description_in(piece.text) for piece in ended]
    full = [place for place, text in enumerate(texts) if text]
    rows_ND = h_ND[[ended[place].row for place in full]]
    found = await _known_cosines(backend, host, [texts[place] for place in full], rows_ND)
    by_place = dict(zip(full, found, strict=True))
    made = []
    for place, piece in enumerate(ended):
        cos = by_place.get(place)
        mse = None if cos is None else nmse_of(cos)
        made.append(Description(row=piece.row, text=texts[place], mse=mse, cosine=cos))
    return made


async def _known_cosines(
    backend: Backend, host: HostCard, texts: Sequence[str], h_ND: np.ndarray
) -> list[float | None]:
    """None for a text that the AR refuses, as it does a very long one; others have their score."""
    if not texts:
        return []
    try:
        return [*await cosines(backend, host, texts, h_ND)]
    except Refused:
        if len(texts) == 1:
            return [None]
    alone = [
        await _known_cosines(backend, host, texts[place : place + 1], h_ND[place : place + 1])
        for place in range(len(texts))
    ]
    return [cos for (cos,) in alone]


def description_in(text: str) -> str:
    """What stands in the tags, up to the end where they are not closed; all where none opens."""
    before, opening, inside = text.partition(OPENING)
    return (inside.partition(CLOSING)[0] if opening else before).strip()
