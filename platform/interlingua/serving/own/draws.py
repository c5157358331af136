"""Texts that are to be drawn of activations: of which, how, and as whom they are answered."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, HostCard, Piece
from interlingua.serving.http.streaming import ended
from interlingua.serving.own.sources import Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """Texts that are to be drawn of activations."""

    name: str
    backend: Backend
    host: HostCard
    rows: Rows
    sampling: Sampling

    @property
    def opening(self) -> Mapping[str, Any]:
        """The first event of a stream."""
        return {
            "model": self.name,
            "host": self.host.tag,
            "total": self.sampling.n * len(self.rows.h_ND),
            "data": self.rows.origins,
        }

    def pieces(self, *, wants_partial: bool) -> AsyncIterator[Piece]:
        """The texts, also while they become longer."""
        tag, rows_ND, sampling = self.host.tag, self.rows.h_ND, self.sampling
        if self.rows.is_zero:
            count = len(rows_ND)
            return self.backend.verbalize_zero(tag, count, sampling, wants_partial=wants_partial)
        return self.backend.verbalize(tag, rows_ND, sampling, wants_partial=wants_partial)

    async def samples(self) -> list[list[Piece]]:
        """All texts, by row and sample."""
        pieces = self.pieces(wants_partial=False)
        return await ended(pieces, len(self.rows.h_ND), self.sampling.n)
