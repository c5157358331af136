"""Descriptions of the tokens of a prompt, whole or as frames: the same for both of Neuronpedia's.

h: raw activations [N, D] of a host.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from interlingua.core.geometry import norms
from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, HostCard, Piece, Prompt, Reading, Refused, Token
from interlingua.serving.protocols.neuronpedia_models import (
    DescriptionResult,
    ExplainResult,
    explain_result,
)
from interlingua.serving.protocols.protocol_route import Content
from interlingua.serving.protocols.shared import Description, check_most, described, descriptions


async def reading_of(
    backend: Backend, host: HostCard, prompt: Prompt, positions: Sequence[int] | None
) -> Reading:
    """The activations at these tokens, or at all for none; refused where they are too many."""
    most = backend.card.limits.max_positions
    if positions:
        check_most("positions", len(positions), most, "tokens")
        return await backend.read(host.tag, prompt, positions)
    # Counted before it is read: all activations of a long text are more than one answer holds.
    count = len((await backend.tokenize(host.tag, prompt)).tokens)
    if not 0 < count <= most:
        field = "text" if prompt.messages is None else "messages"
        message = f"{field} has {count} tokens; 1 to {most} are read where no positions are named"
        raise Refused(field, message)
    return await backend.read(host.tag, prompt, None)


def in_reverse(reading: Reading) -> Reading:
    """The same, from the last row to the first."""
    # A copy: torch takes no array that is walked backwards.
    return replace(reading, positions=reading.positions[::-1], h_ND=reading.h_ND[::-1].copy())


def tokens_read(reading: Reading) -> list[Token]:
    """The token of every row."""
    return [reading.tokens[place] for place in reading.positions if place is not None]


def description_result(description: Description) -> DescriptionResult:
    """A description as this protocol has it."""
    return DescriptionResult(
        description=description.text,
        mse=description.mse,
        cosine_similarity=description.cosine,
    )


async def explain_results(
    backend: Backend, host: HostCard, reading: Reading, sampling: Sampling
) -> list[ExplainResult]:
    """The description of every row, in order."""
    results = _Results(reading)
    every = await descriptions(backend, host, reading.h_ND, sampling)
    return [results.of(one) for one in every]


async def explain_frames(
    backend: Backend, host: HostCard, reading: Reading, sampling: Sampling
) -> AsyncGenerator[Content]:
    """What is coming, then texts as they become longer, and every description once it is scored.

    A client takes a frame with `description` for a finished one: no other frame may have it.
    """
    results = _Results(reading)
    async with aclosing(described(backend, host, reading.h_ND, sampling)) as every:
        first = await anext(every)
        yield {
            "layer_index": host.block_index,
            "total": len(reading.h_ND),
            "prompt_length": len(reading.tokens),
        }
        yield results.frame(first)
        async for one in every:
            yield results.frame(one)


class _Results:
    """Rows of a reading as results."""

    def __init__(self, reading: Reading) -> None:
        self._tokens = tokens_read(reading)
        self._norms = norms(reading.h_ND).tolist()

    def of(self, one: Description) -> ExplainResult:
        """The result of a row."""
        return explain_result(self._tokens[one.row], self._norms[one.row], description_result(one))

    def frame(self, one: Piece | Description) -> Content:
        """The frame of a text that became longer, or of a result."""
        if isinstance(one, Description):
            return self.of(one).model_dump()
        return {"position": self._tokens[one.row].position, "text": one.text, "done": False}
