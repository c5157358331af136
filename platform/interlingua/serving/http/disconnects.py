"""Clients that leave before they are answered: what they asked for is stopped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")


async def until_gone(work: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """The result of `work`; cancels it and raises ClientDisconnect when the client leaves.

    The body of the request must have been read: all that is received here is the end.
    """
    task = asyncio.ensure_future(work)
    leave = asyncio.ensure_future(_leave(receive))
    try:
        await asyncio.wait({task, leave}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        # Also where this is cancelled itself: nothing goes on when it returns.
        task.cancel()
        leave.cancel()
        await asyncio.gather(task, leave, return_exceptions=True)


async def close(stream: AsyncIterator[Any]) -> None:
    """End a generator now, not when it is collected, so that what it waits for is stopped."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()


async def _leave(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
