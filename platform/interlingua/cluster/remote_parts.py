"""A part of a served bundle as its callers see it, in whichever replica of Ray Serve answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, RequestCancelledError
from ray.serve.handle import DeploymentHandle

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import (
    Busy,
    NotAvailable,
    Piece,
    Prompt,
    Reading,
    Refused,
    TimedOut,
)

# Given back as values: Serve logs a stack for all that is raised, and anybody may ask for nonsense.
EXPECTED = (Refused, Busy, TimedOut, NotAvailable)


class RemotePart:
    """One part of one bundle, in whichever replica answers."""

    def __init__(self, bundle: str, handle: DeploymentHandle) -> None:
        self._bundle, self._handle = bundle, handle

    async def read(
        self, host: str, prompt: Prompt, positions: Sequence[int] | None, **options: bool
    ) -> Reading:
        """As `Hosts.read`."""
        reading: Reading = await self._call("read", host, prompt, positions, options)
        return reading

    async def reconstruct(self, texts: Sequence[str], host: str | None) -> np.ndarray:
        """As `Ar.reconstruct`."""
        rows_ND: np.ndarray = await self._call("reconstruct", texts, host)
        return rows_ND

    async def verbalize(
        self, host: str, h_ND: np.ndarray, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """As `Av.verbalize`; what its caller leaves is cancelled in the replica, too."""
        async for pieces in self._stream("verbalize", host, h_ND, sampling, wants_partial):
            yield pieces

    async def verbalize_zero(
        self, host: str, count: int, sampling: Sampling, *, wants_partial: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """As `Av.verbalize_zero`."""
        async for pieces in self._stream("verbalize_zero", host, count, sampling, wants_partial):
            yield pieces

    async def generate(
        self, parts: Sequence[str | np.ndarray], sampling: Sampling, *, as_chat: bool
    ) -> AsyncIterator[Sequence[Piece]]:
        """As `Av.generate`."""
        async for pieces in self._stream("generate", parts, sampling, as_chat):
            yield pieces

    async def _stream(self, name: str, *arguments: Any) -> AsyncIterator[Sequence[Piece]]:
        method = getattr(self._handle.options(stream=True), name)
        response = method.remote(self._bundle, *arguments)
        try:
            async for pieces in response:
                if isinstance(pieces, Exception):
                    raise pieces
                yield pieces
        except EXPECTED:
            raise
        except (asyncio.CancelledError, GeneratorExit):
            response.cancel()
            raise
        except Exception as error:
            raise _as_raised(error) from error

    async def _call(self, name: str, *arguments: Any) -> Any:
        response = getattr(self._handle, name).remote(self._bundle, *arguments)
        try:
            found = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except Exception as error:
            raise _as_raised(error) from error
        if isinstance(found, Exception):
            raise found
        return found


def _as_raised(error: Exception) -> Exception:
    """The error as the engine raised it, or what its absence means to a client."""
    match error:
        case RayTaskError(cause=Exception() as cause):
            return cause
        case BackPressureError():
            return Busy("too many requests wait already")
        case RayActorError() | RequestCancelledError():
            return NotAvailable("the replica that was asked is gone; ask again")
    return error
