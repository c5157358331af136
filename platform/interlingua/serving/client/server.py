"""What an endpoint asks of a server, whichever protocol it speaks.

h: raw activations [N, D] of a host, in fp64 and checked; hosts are known ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlingua.models.bundle.system import Activations, OnToken, SamplingOptions
from interlingua.models.bundle.verbalization import RoundTrip, Verbalization

NOTHING = (0.0, 2.0)  # cosine and NMSE of a text that was not there, or could not be read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How near the AR's vectors of explanations are to activations; 0 and 2 where there is none."""

    cosine_N: np.ndarray
    nmse_N: np.ndarray


class Server(Protocol):
    """A server of one protocol."""

    @property
    def hosts(self) -> Sequence[str]:
        """The tags of the hosts that it knows; none: it is not said whose vectors it explains."""

    @property
    def digest(self) -> str | None:
        """The digest of its bundle's manifest, where the server states it."""

    def width(self, host: str) -> int | None:
        """The width of a host's activations, where it is known."""

    def read(
        self, texts: Sequence[str], host: str, positions: Sequence[Sequence[int]] | None
    ) -> Activations:
        """The activations of texts."""

    def verbalize(
        self, h_ND: np.ndarray, host: str, options: SamplingOptions, on_token: OnToken | None
    ) -> list[list[Verbalization]]:
        """Texts of activations."""

    def verbalize_zero(
        self, count: int, host: str, options: SamplingOptions
    ) -> list[list[Verbalization]]:
        """Texts of zeros in place of vectors."""

    def reconstruct(self, texts: Sequence[str | None], host: str | None) -> np.ndarray:
        """The vectors of texts."""

    def score(self, explanations: Sequence[str | None], h_ND: np.ndarray, host: str) -> Scores:
        """How well texts stand for activations, one for each."""

    def round_trips(self, h_ND: np.ndarray, host: str, options: SamplingOptions) -> list[RoundTrip]:
        """Activations to texts and back."""
