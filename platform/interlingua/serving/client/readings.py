"""Texts and positions as a server takes them, and what it read as one value. Knows no route.

h: raw activations [N, D] of a host.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index

import numpy as np

from interlingua.models.bundle.system import Activations
from interlingua.serving.client.vectors import texts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is read of one text in one request; no positions: the whole, as in training."""

    number: int  # of the text
    text: str
    positions: list[int] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was read of one text; positions count from 0."""

    number: int
    positions: Sequence[int | None]
    h_ND: np.ndarray


def asks_of(
    texts: Sequence[str], positions: Sequence[Sequence[int]] | None, most_positions: int
) -> list[Ask]:
    """All texts, one with more positions than a request may have several times."""
    plain = texts_of(texts)
    if positions is None:
        return [Ask(number=number, text=text, positions=None) for number, text in enumerate(plain)]
    if len(positions) != len(plain):
        raise ValueError(f"positions are of {len(positions)} texts; there are {len(plain)}")
    return [
        Ask(number=number, text=text, positions=places[start : start + most_positions])
        for number, text in enumerate(plain)
        for places in [[_position(place) for place in positions[number]]]
        for start in range(0, len(places), most_positions)
    ]


def activations_of(found: Iterable[Found], host: str, width: int) -> Activations:
    """What was read of all texts, in their order."""
    every = list(found)
    rows = [np.zeros((0, width), np.float32), *(one.h_ND for one in every)]
    return Activations(
        host=host,
        h_ND=np.concatenate(rows),
        texts=[one.number for one in every for _ in one.positions],
        positions=[place for one in every for place in one.positions],
    )


def _position(place: int) -> int:
    try:
        return index(place)
    except TypeError:
        raise ValueError(f"position is {place!r}; it must be a whole number") from None
