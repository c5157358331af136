"""Answers that come piece by piece: refused before they begin, ended when their client leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from interlingua.serving.backend import Piece
from interlingua.serving.http.disconnects import close, until_gone
from interlingua.serving.http.errors import fault_of
from interlingua.serving.http.frames import MEDIA_TYPE, frames

Content = Mapping[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")
# A proxy that gathers or stores frames would make one answer of a stream.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class Events(StreamingResponse):
    """Server-sent events of contents that are made of a source.

    When the client leaves, or the server stops the request, both are closed before this returns.
    """

    def __init__(self, contents: AsyncIterator[Content], source: AsyncIterator[Any]) -> None:
        self._open = (frames(contents), contents, source)
        super().__init__(self._open[0], media_type=MEDIA_TYPE, headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_gone(self.stream_response(send), receive)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        finally:
            for stream in self._open:  # from the outside, as what is inside may be in use
                await close(stream)


async def begun_events(
    opening: Content, source: AsyncIterator[Item], content_of: Callable[[Item], Content]
) -> Events:
    """The events of a stream whose first item is there.

    What is raised before is raised here, and can have a status; behind it, it is the last event.
    """
    first = await anext(source)

    async def contents() -> AsyncIterator[Content]:
        yield opening
        try:
            yield content_of(first)
            async for piece in source:
                yield content_of(piece)
        except Exception as error:
            yield fault_of(error).content

    return Events(contents(), source)


async def ended(source: AsyncIterator[Piece], num_rows: int, samples: int) -> list[list[Piece]]:
    """The last pieces of a stream, by row and sample."""
    try:
        found = {
            (piece.row, piece.sample): piece async for piece in source if piece.done is not None
        }
    finally:
        await close(source)
    return [[found[row, sample] for sample in range(samples)] for row in range(num_rows)]


async def together(works: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """All results, in order; the first error ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
