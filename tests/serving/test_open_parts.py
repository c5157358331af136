"""Parts that are opened, used by many and closed to make place for others; nothing is lost."""

import asyncio
import threading
import time
from collections import Counter

import pytest

from interlingua.serving.engines.open_parts import OpenParts


class Shelf:
    """Opens parts that answer with their name; fails where a part is used when it is closed."""

    def __init__(self):
        self.opened, self.closed, self.num_open, self.most_open = Counter(), Counter(), 0, 0

    def open_part(self, name):
        self.num_open += 1
        self.most_open = max(self.most_open, self.num_open)
        self.opened[name] += 1
        time.sleep(0.01)
        if name == "damaged":
            self.num_open -= 1
            raise OSError("damaged")
        return Answering(self, name)


class Answering:
    def __init__(self, shelf, name):
        self._shelf, self._name, self._is_closed = shelf, name, False

    async def answer(self, seconds=0.005):
        assert not self._is_closed
        await asyncio.sleep(seconds)
        assert not self._is_closed
        return self._name

    def close(self):
        assert threading.current_thread() is not threading.main_thread()
        self._is_closed = True
        self._shelf.num_open -= 1
        self._shelf.closed[self._name] += 1


async def ask(parts, name, seconds=0.005):
    async with parts.using(name) as part:
        return await part.answer(seconds)


@pytest.mark.parametrize("most", [1, 2])
def test_many_who_ask_for_one_and_another_are_all_answered(most):
    shelf = Shelf()

    async def many():
        parts = OpenParts("a", shelf.open_part, most)
        names = "abcab" * 40
        asked = []
        for name in names:
            asked.append(asyncio.create_task(ask(parts, name)))
            await asyncio.sleep(0.001)
        return names, await asyncio.gather(*asked)

    names, found = asyncio.run(many())
    assert found == list(names)
    assert shelf.most_open == most and shelf.num_open == most
    # Those who wait for one bundle share its opening.
    assert sum(shelf.opened.values()) < len(names) / 3


def test_what_is_closed_answers_first_what_it_began():
    shelf = Shelf()

    async def switch():
        parts = OpenParts("a", shelf.open_part, 1)
        slow = asyncio.create_task(ask(parts, "a", 0.1))
        await asyncio.sleep(0.01)
        other = asyncio.create_task(ask(parts, "b"))
        await asyncio.sleep(0.03)
        assert not shelf.closed and not other.done()
        return await asyncio.gather(slow, other)

    assert asyncio.run(switch()) == ["a", "b"]
    assert shelf.closed == {"a": 1} and shelf.most_open == 1


def test_the_one_that_nobody_asked_for_the_longest_is_closed():
    shelf = Shelf()

    async def four():
        parts = OpenParts("a", shelf.open_part, 2)
        for name in "abac":
            await ask(parts, name)

    asyncio.run(four())
    assert shelf.closed == {"b": 1} and shelf.opened == {"a": 1, "b": 1, "c": 1}


def test_who_leaves_while_it_opens_takes_nothing_from_others():
    shelf = Shelf()

    async def leave():
        parts = OpenParts("a", shelf.open_part, 1)
        leaving, staying = (asyncio.create_task(ask(parts, "b")) for _ in range(2))
        await asyncio.sleep(0.002)
        leaving.cancel()
        found = await staying
        assert leaving.cancelled()
        return found, await ask(parts, "a")

    assert asyncio.run(leave()) == ("b", "a")
    assert shelf.opened == {"a": 2, "b": 1}


def test_what_cannot_be_opened_is_tried_again_and_holds_up_nobody():
    shelf = Shelf()

    async def damaged():
        parts = OpenParts("a", shelf.open_part, 1)
        asked = [asyncio.create_task(ask(parts, name)) for name in ("damaged", "damaged", "b")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return found, await ask(parts, "a")

    (first, second, third), last = asyncio.run(damaged())
    assert isinstance(first, OSError) and isinstance(second, OSError)
    assert (third, last) == ("b", "a") and shelf.opened["damaged"] == 1
