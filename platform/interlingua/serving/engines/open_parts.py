"""Parts of bundles that are open: the last few that were asked for. Knows no model.

What is closed to make place answers first what it began, and only then the next one is opened, so
that no more than `most` take memory at any time. All who wait for one bundle share its opening.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Part(Protocol):
    """Something that is open until it is closed."""

    def close(self) -> None:
        """Answer what was taken in, then end."""


P = TypeVar("P", bound=Part)


@dataclass(slots=True, eq=False, kw_only=True)
class _Entry(Generic[P]):
    part: P | None = None
    opening: "asyncio.Task[P] | None" = None
    num_users: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count a user while the block runs."""
        self.num_users += 1
        self.unused.clear()
        try:
            yield
        finally:
            self.num_users -= 1
            if not self.num_users:
                self.unused.set()


class OpenParts(Generic[P]):
    """At most `most` parts by the names of their bundles, the first of them open from the start.

    `open_part` runs in a thread, one call at a time; what it raises is raised to all who wait for
    that bundle, and the next who asks tries again.
    """

    def __init__(self, first: str, open_part: Callable[[str], P], most: int) -> None:
        self._open_part, self._most = open_part, most
        self._turn = asyncio.Lock()
        # The one that was asked for last is the last.
        self._entries: OrderedDict[str, _Entry[P]] = OrderedDict()
        self._entries[first] = _Entry(part=open_part(first))
        self._entries[first].unused.set()

    @asynccontextmanager
    async def using(self, bundle: str) -> AsyncIterator[P]:
        """The part of a bundle, which stays open until the block ends."""
        entry = self._entries.get(bundle)
        if entry is None:
            entry = self._entries[bundle] = _Entry()
            entry.opening = asyncio.create_task(self._opened(bundle, entry))
        self._entries.move_to_end(bundle)
        with entry.used():
            if entry.part is None:
                assert entry.opening is not None
                # Whoever leaves meanwhile must not end it for the others.
                await asyncio.shield(entry.opening)
            assert entry.part is not None
            yield entry.part

    async def _opened(self, bundle: str, entry: _Entry[P]) -> P:
        try:
            async with self._turn:
                while sum(one.part is not None for one in self._entries.values()) >= self._most:
                    await self._close_oldest()
                entry.part = await asyncio.to_thread(self._open_part, bundle)
        except BaseException:
            del self._entries[bundle]
            raise
        return entry.part

    async def _close_oldest(self) -> None:
        name = next(name for name, one in self._entries.items() if one.part is not None)
        entry = self._entries.pop(name)  # who asks for it from now on waits for a new opening
        await entry.unused.wait()
        assert entry.part is not None
        await asyncio.to_thread(entry.part.close)
