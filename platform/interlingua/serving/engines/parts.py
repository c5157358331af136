"""The three parts of a served bundle: hosts, AV and AR, each with an engine of its own.

They live in one process (`local.py`) or each in replicas of its own (cluster/serving.py).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import numpy as np
import torch

from interlingua.models.bundle.proved import ProvedBundle
from interlingua.models.bundle.system import Sampling
from interlingua.models.pair.prompts import EmbeddedPrompt
from interlingua.serving.backend import Limits, Piece, Prompt, Reading, Refused
from interlingua.serving.engines.av_engine import AvEngine
from interlingua.serving.engines.av_requests import Request
from interlingua.serving.engines.batcher import Batcher
from interlingua.serving.engines.host_engine import Ask, HostEngine


class Hosts:
    """Prompts to tokens and activations."""

    def __init__(self, bundle: ProvedBundle, limits: Limits) -> None:
        self._engine = HostEngine(bundle.readers(), limits)

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
        ask = Ask(host=host, prompt=prompt, positions=positions, whole=whole, reads_rows=reads_rows)
        return await asyncio.wrap_future(self._engine.submit(ask))

    def close(self) -> None:
        """Answer what was taken in, then end."""
        self._engine.close()


class Av:
    """Activations to texts."""

    def __init__(self, bundle: ProvedBundle, limits: Limits) -> None:
        self._maps, self._limits = bundle.maps(), limits
        self._av = bundle.av()
        self.engine = AvEngine(self._av, limits)

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """What every step of the AV adds to the texts of these activations."""
        v_NE, shares = self._maps.v_of(host, h_ND), self._maps.shares_nearer(host, h_ND)
        async for pieces in self._drawn(host, v_NE, shares, sampling, None, wants_partial):
            yield pieces

    async def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """The same of zeros in place of vectors."""
        v_NE = torch.zeros(count, self._maps.space.width)
        async for pieces in self._drawn(host, v_NE, [None] * count, sampling, None, wants_partial):
            yield pieces

    async def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """What every step of the AV adds to its text after a prompt that holds embeddings."""
        for part in parts:
            if not isinstance(part, str) and part.shape[1:] != (self._maps.space.width,):
                raise Refused(
                    "input_embeds",
                    f"embeddings have the shape {part.shape}; the AV's trunk takes rows of the "
                    f"width {self._maps.space.width}",
                )
        try:
            prompt = self._av.embedded_prompt(parts, as_chat=as_chat)
        except ValueError as error:
            raise Refused("input_embeds", str(error)) from error
        v_NE = torch.zeros(1, self._maps.space.width)
        async for pieces in self._drawn("", v_NE, [None], sampling, prompt, True):
            yield pieces

    async def _drawn(
        self,
        host: str,
        v_NE: torch.Tensor,
        shares: Sequence[float | None],
        sampling: Sampling,
        prompt: EmbeddedPrompt | None,
        wants_partial: bool,
    ) -> AsyncIterator[Sequence[Piece]]:
        queue, loop = asyncio.Queue[Sequence[Piece] | Exception](), asyncio.get_running_loop()

        def hand_over(found: Sequence[Piece] | Exception) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, found)

        request = Request(
            host=host,
            v_NE=v_NE,
            shares=shares,
            sampling=sampling,
            on_pieces=hand_over,
            wants_partial=wants_partial,
            deadline=time.monotonic() + self._limits.timeout_s,
            prompt=prompt,
        )
        num_left = request.num_left
        self.engine.submit(request)
        try:
            while num_left:
                found = await queue.get()
                if isinstance(found, Exception):
                    raise found
                num_left -= sum(piece.done is not None for piece in found)
                yield found
        finally:
            self.engine.cancel(request)

    def close(self) -> None:
        """Answer what was taken in, then end."""
        self.engine.close()


class Ar:
    """Texts to vectors."""

    def __init__(self, bundle: ProvedBundle, limits: Limits) -> None:
        self._ar, self._maps, self._limits = bundle.ar(), bundle.maps(), limits
        self._batcher: Batcher[Sequence[str], np.ndarray] = Batcher(
            "ar-engine",
            self._run,
            field="texts",
            budget=limits.max_batch_rows,
            max_waiting=limits.max_queued_rows,
        )

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """[N, D] in the units of n(h) of a host, or shared vectors [N, E]."""
        future = self._batcher.submit(
            texts, cost=max(1, len(texts)), timeout_s=self._limits.timeout_s
        )
        return self._maps.of_host(await asyncio.wrap_future(future), host)

    def close(self) -> None:
        """Answer what was taken in, then end."""
        self._batcher.close()

    def _run(self, items: Sequence[Sequence[str]]) -> list[np.ndarray]:
        try:
            a_NE = self._ar.reconstruct([text for texts in items for text in texts])
        except ValueError as error:  # one that is longer than the AR reads
            raise Refused("texts", str(error)) from error
        ends = np.cumsum([len(texts) for texts in items])
        return np.split(a_NE, ends[:-1])
