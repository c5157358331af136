"""A call of any size as requests of a size that a server takes. Knows no route."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from interlingua.serving.client.errors import EndpointError
from interlingua.serving.client.stopping import Stop, in_order

Result = TypeVar("Result")


class Cost(NamedTuple):
    """What an item adds to a request."""

    rows: int
    num_bytes: int


def parts_of(costs: Sequence[Cost], most: Cost) -> list[slice]:
    """Items that go together, in order; one that costs more than `most` goes alone."""
    parts: list[slice] = []
    start = rows = num_bytes = 0
    for place, cost in enumerate(costs):
        rows, num_bytes = rows + cost.rows, num_bytes + cost.num_bytes
        if place > start and (rows > most.rows or num_bytes > most.num_bytes):
            parts.append(slice(start, place))
            start, (rows, num_bytes) = place, cost
    return [*parts, slice(start, len(costs))] if costs else []


def in_parts(
    call: Callable[[slice, Stop], Sequence[Result]],
    parts: Sequence[slice],
    concurrency: int,
    numbers: Sequence[int],
) -> list[Result]:
    """What a call gives of each part, joined in order; so many of them run at a time.

    `numbers` are those that the items have for the caller, who is told where an error was.
    """

    def of_part(part: slice, stop: Stop) -> Sequence[Result]:
        try:
            return call(part, stop)
        except EndpointError as error:
            if len(parts) == 1:
                raise
            raise error.in_rows(numbers[part.start], numbers[part.stop - 1]) from error

    return list(chain(*in_order([partial(of_part, part) for part in parts], concurrency)))
