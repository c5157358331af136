"""SGLang's `/generate` with `input_embeds`: what the public release's own client sends.

The client makes the whole prompt itself: template, embeddings of its tokens, and the row of its
activation in between. `input_embeds_b64_bf16` with a shape is the transport of a patched server.
"""

import time
import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from interlingua.serving.backend import Backend, Card, Refused
from interlingua.serving.http.errors import Fault
from interlingua.serving.http.requests import Text
from interlingua.serving.protocols.embeds_rows import (
    WHAT_THIS_IS,
    refuse_inexpressible,
    rows_in_bf16,
    rows_in_list,
)
from interlingua.serving.protocols.embeds_sampling import (
    Asked,
    Drawn,
    drawn,
    ending_asked,
    refuse_unknown,
    sampling_asked,
)
from interlingua.serving.protocols.fields import Seed, Vectors
from interlingua.serving.protocols.protocol_route import (
    Content,
    Json,
    ProtocolRoute,
    events,
    schema_is_400,
    sentence,
)
from interlingua.serving.protocols.shared import backend_of, note_rows

MAX_NEW_TOKENS = 128  # where none are asked for
PLAIN, PACKED = "input_embeds", "input_embeds_b64_bf16"


class SglangRoute(ProtocolRoute):
    """Errors as this protocol has them."""

    status = staticmethod(schema_is_400)

    @staticmethod
    def shape(fault: Fault) -> Content:
        """A sentence, and the field that it is about."""
        return {"error": {"message": sentence(fault), "param": fault.field}}


router = APIRouter(route_class=SglangRoute, tags=["SGLang"])


class SamplingParams(Asked):
    """How the text is drawn."""

    max_new_tokens: int | None = Field(default=None, gt=0)
    sampling_seed: Seed | None = None
    no_stop_trim: bool | None = None


class GenerateRequest(BaseModel):
    """One prompt as rows, or as a list of one; any other way to give a prompt is refused."""

    model_config = ConfigDict(extra="allow")

    input_embeds: Vectors | None = None
    input_embeds_b64_bf16: Text | None = None
    input_embeds_shape: list[int] | None = None
    sampling_params: SamplingParams | None = None
    stream: bool | None = None


class MetaInfo(BaseModel):
    """What is known of a text; `finish_reason` is null until it has ended."""

    id: str
    finish_reason: dict[str, Any] | None
    prompt_tokens: int
    completion_tokens: int | None
    cached_tokens: int = 0
    e2e_latency: float


class Generated(BaseModel):
    """A text so far; frames of a stream hold all of it again."""

    text: str
    meta_info: MetaInfo


@router.post("/generate", response_model=Generated | list[Generated])
async def generate(
    body: GenerateRequest, request: Request, backend: Annotated[Backend, Depends(backend_of)]
) -> Response:
    """The AV's text after these rows; a list of one where the prompt came in a list."""
    rows_TE, is_listed = _rows(body, backend.card)
    note_rows(request, 1)
    texts = _texts(backend, rows_TE, body.sampling_params or SamplingParams())
    if body.stream:
        return await events(texts, SglangRoute.shape)
    last = [text async for text in texts][-1]
    return Json([last] if is_listed else last)


async def _texts(
    backend: Backend, rows_TE: np.ndarray, asked: SamplingParams
) -> AsyncGenerator[Content]:
    refuse_unknown(asked.model_extra, "sampling_params.")
    limits = backend.card.limits
    most = asked.max_new_tokens or min(MAX_NEW_TOKENS, limits.max_new_tokens)
    sampling = sampling_asked(asked, most, asked.sampling_seed, limits, field="max_new_tokens")
    ending = ending_asked(asked.stop, keeps_stop=bool(asked.no_stop_trim))
    begin, identity = time.perf_counter(), uuid.uuid4().hex
    pieces = backend.generate([rows_TE], sampling, as_chat=False)
    async for one in drawn(pieces, ending, {}):
        meta_info = MetaInfo(
            id=identity,
            finish_reason=_finish_reason(one, most),
            prompt_tokens=len(rows_TE),
            completion_tokens=one.num_tokens,
            e2e_latency=time.perf_counter() - begin,
        )
        yield Generated(text=one.text, meta_info=meta_info).model_dump()


def _finish_reason(one: Drawn, most: int) -> dict[str, Any] | None:
    if one.reason is None:
        return None
    if one.reason == "length":
        return {"type": "length", "length": most}
    return {"type": "stop", "matched": one.matched}


def _rows(body: GenerateRequest, card: Card) -> tuple[np.ndarray, bool]:
    """The rows of the prompt, and whether it came as a list of one."""
    if body.input_embeds is None and body.input_embeds_b64_bf16 is None:
        raise Refused(PLAIN, f"{PLAIN} is missing: {WHAT_THIS_IS}")
    if body.input_embeds is not None and body.input_embeds_b64_bf16 is not None:
        raise Refused(PACKED, f"{PACKED} and {PLAIN} are both there; give one of them")
    refuse_unknown(body.model_extra)
    refuse_inexpressible(card, PLAIN if body.input_embeds is not None else PACKED)
    if body.input_embeds_b64_bf16 is not None:
        sizes = body.input_embeds_shape
        return rows_in_bf16(body.input_embeds_b64_bf16, sizes, card, PACKED), False
    given: Any = body.input_embeds
    first = given[0] if given else None
    is_listed = isinstance(first, list) and bool(first) and isinstance(first[0], list)
    if is_listed and len(given) > 1:
        raise Refused(PLAIN, f"{PLAIN} holds {len(given)} prompts; send one a request")
    return rows_in_list(first if is_listed else given, card, PLAIN), is_listed
