"""Three parts as one `Backend`, wherever each of them runs. Opens no model."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import numpy as np

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Card, NotAvailable, Piece, Prompt, Reading, Refused


class HostsPart(Protocol):
    """Prompts to tokens and activations."""

    async def read(
        self,
        host: str,
        prompt: Prompt,
        positions: Sequence[int] | None,
        *,
        whole: bool = False,
        reads_rows: bool = True,
    ) -> Reading:
        """A prompt as the host reads it."""


class AvPart(Protocol):
    """Activations to texts."""

    def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """What every step of the AV adds to the texts of these activations."""

    def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """The same of zeros in place of vectors."""

    def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """What every step of the AV adds to its text after a prompt that holds embeddings."""


class ArPart(Protocol):
    """Texts to vectors."""

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """[N, D] in the units of n(h) of a host, or shared vectors [N, E]."""


class JoinedBackend:
    """A `Backend` of three parts and the card of their bundle."""

    def __init__(self, card: Card, hosts: HostsPart, av: AvPart, ar: ArPart) -> None:
        self.card, self._hosts, self._av, self._ar = card, hosts, av, ar

    async def tokenize(self, host: str, prompt: Prompt) -> Reading:
        """The tokens of a prompt; no rows are read."""
        return await self._hosts.read(self._known(host), prompt, None, reads_rows=False)

    async def read(
        self, host: str, prompt: Prompt, positions: Sequence[int] | None, *, whole: bool = False
    ) -> Reading:
        """Activations at positions (negative: from the end), at all for None, or of the whole."""
        return await self._hosts.read(self._known(host), prompt, positions, whole=whole)

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        """Texts of raw activations; rows and samples end in any order."""
        steps = self._av.verbalize(self._known(host), h_ND, sampling, wants_partial=wants_partial)
        async for pieces in steps:
            for piece in pieces:
                yield piece

    async def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool = True
    ) -> AsyncIterator[Piece]:
        """Texts of zeros in place of vectors."""
        known = self._known(host)
        steps = self._av.verbalize_zero(known, count, sampling, wants_partial=wants_partial)
        async for pieces in steps:
            for piece in pieces:
                yield piece

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """[N, D] in the units of n(h) of a host, or shared vectors [N, E]."""
        return await self._ar.reconstruct(texts, None if host is None else self._known(host))

    async def complete(self, host: str, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Piece]:
        """Nothing: the hosts of a bundle are cut behind the block that is read."""
        block = self.card.hosts[self._known(host)].block_index
        raise NotAvailable(f"{host} is cut behind its block {block}: it has no output to draw from")
        yield  # an iterator, as of whoever can complete

    async def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Piece]:
        """The AV's text after texts and rows of its input embeddings."""
        if obstacle := self.card.obstacle:
            raise Refused("input_embeds", obstacle)
        async for pieces in self._av.generate(parts, sampling, as_chat=as_chat):
            for piece in pieces:
                yield piece

    def _known(self, host: str) -> str:
        if host not in self.card.hosts:
            raise Refused("host", f"host is {host!r}; this NLA knows: {', '.join(self.card.hosts)}")
        return host
