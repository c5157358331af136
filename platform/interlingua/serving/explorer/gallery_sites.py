"""What the page explains of a text, as the page finds it.

The rules are those of serve/explorer/js: sites.js and vectors.js. Knows no server.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from interlingua.core.spans import sentences
from interlingua.serving.http.wire import LITTLE_FP32, encoded

Fields = Mapping[str, Any]
Token = Mapping[str, Any]


class Site(NamedTuple):
    """Tokens whose mean is explained, one of them, or the whole text as in training."""

    first: int | None = None
    last: int | None = None

    @property
    def key(self) -> str:
        """Its name in a link."""
        if self.first is None:
            return "whole"
        return str(self.first) if self.last is None else f"{self.first}-{self.last}"

    @property
    def positions(self) -> list[int] | None:
        """The tokens, as they are asked for; None: the whole text."""
        if self.first is None:
            return None
        return list(range(self.first, self.first + 1 if self.last is None else self.last + 1))

    def is_read(self, num_read: int) -> bool:
        """Whether a host that reads so many tokens reads all of them."""
        return (self.positions or [0])[-1] < num_read


def sentence_sites(text: str, tokens: Sequence[Token], num_read: int) -> list[Site]:
    """The sentences that a host reads to their ends."""
    found = (span_site(tokens, *span) for span in sentences(text))
    return [site for site in found if site is not None and site.is_read(num_read)]


def span_site(tokens: Sequence[Token], start: int, end: int) -> Site | None:
    """The tokens of some characters, from the first to the last."""
    first = 0
    while first < len(tokens) and min(tokens[first]["end"], end) <= start:
        first += 1
    last = first
    while last < len(tokens) and tokens[last]["start"] < end:
        last += 1
    return Site(first, last - 1) if last > first else None


def row_site(row: Mapping[str, Any], tokens: Sequence[Token]) -> Site | None:
    """What a row of an evaluation was read from."""
    if row["position"] is None:
        return Site()
    if row["span_end"] is None:
        return Site(row["position"])
    return span_site(tokens, row["position"], row["span_end"])


def mean_of(vectors: Mapping[str, Any]) -> Any:
    """The mean of rows as the page adds them up: one after the other, in double precision."""
    rows_ND = np.frombuffer(b64decode(vectors["base64"]), LITTLE_FP32).reshape(vectors["shape"])
    sum_D = np.zeros(rows_ND.shape[1])
    for row_D in rows_ND:
        sum_D += row_D
    return encoded(sum_D[None] / len(rows_ND), "base64")
