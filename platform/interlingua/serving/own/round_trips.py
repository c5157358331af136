"""Texts of activations and what the AR makes of them: all at once, or each once it has ended.

h: raw activations [N, D] of a host; n(h): at the norm sqrt(D).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlingua.serving.backend import Backend, HostCard, Piece
from interlingua.serving.http.disconnects import close
from interlingua.serving.http.requests import RoundtripRequest
from interlingua.serving.http.wire import encoded
from interlingua.serving.own.answers import RoundTripped, explained, frame_content
from interlingua.serving.own.draws import Draw
from interlingua.serving.own.numbers import numbers_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A text that has ended, with its numbers."""

    row: int
    content: RoundTripped


async def round_trips(draw: Draw, asked: RoundtripRequest) -> list[list[RoundTripped]]:
    """By row and sample."""
    drawn = await draw.samples()
    trips = await _trips(draw, asked, [piece for samples in drawn for piece in samples])
    n = draw.sampling.n
    return [[one.content for one in trips[row : row + n]] for row in range(0, len(trips), n)]


async def each_trip(draw: Draw, asked: RoundtripRequest) -> AsyncGenerator[Piece | Trip]:
    """Texts as they become longer, and every round trip once it is there; in any order.

    What ends in one step of the AV is rebuilt together, and so is what ends meanwhile.
    """
    pieces = draw.pieces(wants_partial=True)
    drawing: asyncio.Task[Piece | None] | None = asyncio.create_task(_next(pieces))
    rebuilding: asyncio.Task[list[Trip]] | None = None
    ended: list[Piece] = []
    try:
        while under_way := [task for task in (drawing, rebuilding) if task is not None]:
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            found: list[Piece | Trip] = []
            # An error comes behind what was found before it.
            while drawing is not None and drawing.done() and not (found and drawing.exception()):
                piece = drawing.result()
                drawing = None if piece is None else asyncio.create_task(_next(pieces))
                if piece is not None:
                    (found if piece.done is None else ended).append(piece)
                    await asyncio.sleep(0)  # what is of the same step is there at once
            if rebuilding is not None and rebuilding.done():
                found, rebuilding = [*found, *rebuilding.result()], None
            if ended and rebuilding is None:
                rebuilding, ended = asyncio.create_task(_trips(draw, asked, ended)), []
            for one in found:
                yield one
    finally:
        left = [task for task in (drawing, rebuilding) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await close(pieces)


def trip_frame(one: Piece | Trip) -> dict[str, Any]:
    """A frame of a stream."""
    if isinstance(one, Trip):
        return {"index": one.row, "done": True, **one.content}
    return frame_content(one)


async def rebuilt_of(
    backend: Backend, host: HostCard, explanations: Sequence[str | None]
) -> np.ndarray:
    """[N, D] in the units of n(h); a zero row where there is no explanation."""
    rebuilt_ND = np.zeros((len(explanations), host.width))
    written = {place: text for place, text in enumerate(explanations) if text is not None}
    places, most = list(written), backend.card.limits.max_rows
    for begin in range(0, len(places), most):
        part = places[begin : begin + most]
        rebuilt_ND[part] = await backend.reconstruct([written[place] for place in part], host.tag)
    return rebuilt_ND


async def _trips(draw: Draw, asked: RoundtripRequest, ended: Sequence[Piece]) -> list[Trip]:
    texts = [explained(piece) for piece in ended]
    explanations = [text["explanation"] for text in texts]
    rebuilt_ND = await rebuilt_of(draw.backend, draw.host, explanations)
    h_ND = draw.rows.h_ND[[piece.row for piece in ended]]
    numbers = await asyncio.to_thread(numbers_of, rebuilt_ND, h_ND, draw.host)
    trips = [
        Trip(row=piece.row, content={**text, **numbers_of_text})
        for piece, text, numbers_of_text in zip(ended, texts, numbers, strict=True)
    ]
    if asked.rebuilt:
        for trip, p_D in zip(trips, rebuilt_ND, strict=True):
            if trip.content["explanation"] is not None:
                trip.content["rebuilt"] = encoded(p_D[None], asked.vector_form)
    return trips


async def _next(pieces: AsyncIterator[Piece]) -> Piece | None:
    return await anext(pieces, None)
