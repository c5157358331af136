"""What a host itself goes on with, whole or as frames: the same for both of Neuronpedia's."""

from collections.abc import AsyncGenerator

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, HostCard, Piece, Prompt, Reading
from interlingua.serving.protocols.neuronpedia_models import TokenizeResponse, token_info
from interlingua.serving.protocols.protocol_route import Content
from interlingua.serving.protocols.shared import closing


def tokenized(reading: Reading, piece: Piece | None = None) -> TokenizeResponse:
    """A prompt in tokens, with what was drawn behind it."""
    drawn, text = ((), "") if piece is None else (piece.tokens, piece.text)
    return TokenizeResponse(
        tokens=[token_info(token) for token in (*reading.tokens, *drawn)],
        prompt_length=len(reading.tokens),
        text=reading.text + text,
    )


async def completed(
    backend: Backend, host: HostCard, prompt: Prompt, sampling: Sampling
) -> tuple[Reading, Piece]:
    """The prompt as it was read, and all that was drawn."""
    reading = await backend.tokenize(host.tag, prompt)
    last = Piece(row=0, sample=0, text="")
    async with closing(backend.complete(host.tag, prompt, sampling)) as pieces:
        async for piece in pieces:
            last = piece
    return reading, last


async def completion_frames(
    backend: Backend, host: HostCard, prompt: Prompt, sampling: Sampling
) -> AsyncGenerator[Content]:
    """The prompt, every token that is drawn, and the whole text."""
    reading = await backend.tokenize(host.tag, prompt)
    num_sent, text = 0, ""
    async with closing(backend.complete(host.tag, prompt, sampling)) as pieces:
        piece = await anext(pieces, None)
        # Behind the first piece: a host that cannot complete is a status, and no frame.
        yield {
            "type": "prompt",
            "prompt_length": len(reading.tokens),
            "tokens": [token_info(token).model_dump() for token in reading.tokens],
        }
        while piece is not None:
            text = piece.text
            for token in piece.tokens[num_sent:]:
                yield {"type": "token", "token": token_info(token).model_dump()}
            num_sent, piece = len(piece.tokens), await anext(pieces, None)
    yield {"type": "done", "text": reading.text + text}
