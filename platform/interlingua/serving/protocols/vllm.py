"""vLLM's completions with `prompt_embeds`, in the shapes of OpenAI's API.

`/v1/completions` takes whole prompts as rows; in `/v1/chat/completions` rows stand between texts
of one user's message, and the trunk's chat template is put around them here.
"""

import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from interlingua.serving.backend import Backend, Refused
from interlingua.serving.http.access import notes_of
from interlingua.serving.http.errors import Fault
from interlingua.serving.http.requests import Text
from interlingua.serving.http.streaming import together
from interlingua.serving.protocols.embeds_rows import (
    WHAT_THIS_IS,
    refuse_inexpressible,
    rows_in_torch_file,
)
from interlingua.serving.protocols.embeds_sampling import (
    Asked,
    Drawn,
    drawn,
    ending_asked,
    refuse_unknown,
    sampling_asked,
)
from interlingua.serving.protocols.fields import Seed
from interlingua.serving.protocols.protocol_route import (
    Content,
    Json,
    ProtocolRoute,
    events,
    schema_is_400,
    sentence,
)
from interlingua.serving.protocols.shared import (
    backend_of,
    backends_of,
    check_most,
    named,
    note_rows,
)

MAX_TOKENS = 16  # of a completion, where none are asked for
TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    408: "TimeoutError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
Parts = Sequence[str | np.ndarray]


class VllmRoute(ProtocolRoute):
    """Errors as this protocol has them."""

    status = staticmethod(schema_is_400)

    @staticmethod
    def shape(fault: Fault) -> Content:
        """A sentence, and the field that it is about."""
        code = schema_is_400(fault)
        error = {"message": sentence(fault), "type": TYPES.get(code, "APIError")}
        return {"error": {**error, "param": fault.field, "code": code}}


router = APIRouter(prefix="/v1", route_class=VllmRoute, tags=["vLLM"])


class StreamOptions(BaseModel):
    """What a stream holds besides the text."""

    include_usage: bool | None = None


class EmbedsRequest(Asked):
    """Fields of both requests."""

    model: Text | None = Field(default=None, description="A bundle; the default if left out.")
    max_tokens: int | None = Field(default=None, gt=0)
    seed: Seed | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    include_stop_str_in_output: bool | None = None


class CompletionRequest(EmbedsRequest):
    """Prompts as rows of embeddings, each in base64 of a file of torch.save."""

    prompt: Any = Field(default=None, description="Refused: prompts are embeddings here.")
    prompt_embeds: Annotated[list[Text], Field(min_length=1)] | Text | None = None


class Part(BaseModel):
    """A text, or rows of embeddings in base64 of a file of torch.save."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "prompt_embeds"]
    text: Text | None = None
    data: Text | None = None


class Turn(BaseModel):
    """A message; only a user's can be there."""

    role: Text
    content: list[Part] | Text | None = None


class ChatRequest(EmbedsRequest):
    """One user's message, with rows of embeddings in it."""

    messages: list[Turn] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, gt=0)


class Usage(BaseModel):
    """Numbers of tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """Texts in the order of their prompts; `usage` is null where the backend counts no tokens."""

    id: str
    object: str
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: Usage | None = None


@router.post("/completions", response_model=Completion)
async def completions(body: CompletionRequest, request: Request) -> Response:
    """The AV's texts after prompts of embeddings."""
    backend = _backend(body, request)
    if body.prompt_embeds is None or body.prompt not in (None, "", []):
        field = "prompt_embeds" if body.prompt_embeds is None else "prompt"
        raise Refused(field, f"{field}: give prompt_embeds, and no prompt: {WHAT_THIS_IS}")
    given = body.prompt_embeds if isinstance(body.prompt_embeds, list) else [body.prompt_embeds]
    check_most("prompt_embeds", len(given), backend.card.limits.max_rows, "prompts")
    refuse_inexpressible(backend.card, "prompt_embeds")
    prompts = [rows_in_torch_file(one, backend.card, "prompt_embeds") for one in given]
    note_rows(request, len(given))
    answer = _Answer(request, "text_completion", sum(map(len, prompts)))
    most = body.max_tokens or min(MAX_TOKENS, backend.card.limits.max_new_tokens)
    every = [_texts(backend, [rows_TE], body, most, as_chat=False) for rows_TE in prompts]
    if not body.stream:
        return Json(answer.whole(await together([*map(_last, every)])))
    if len(every) > 1:
        raise Refused("stream", "stream: with several prompts answers are not streamed")
    return await events(answer.chunks(every[0], body.stream_options), VllmRoute.shape)


@router.post("/chat/completions", response_model=Completion)
async def chat_completions(body: ChatRequest, request: Request) -> Response:
    """The AV's text after one user's message with embeddings in it."""
    backend = _backend(body, request)
    parts = _parts(body, backend)
    limits = backend.card.limits
    most = body.max_completion_tokens or body.max_tokens or limits.max_new_tokens
    note_rows(request, 1)
    answer = _Answer(request, "chat.completion", None)
    texts = _texts(backend, parts, body, most, as_chat=True)
    if body.stream:
        return await events(answer.chunks(texts, body.stream_options), VllmRoute.shape)
    return Json(answer.whole([await _last(texts)]))


def _backend(body: EmbedsRequest, request: Request) -> Backend:
    """The bundle that `model` names; under a bundle's address there is no other."""
    backend = backend_of(request)
    if body.model is None:
        return backend
    return named(request, backends_of(request), body.model, "model")


def _parts(body: ChatRequest, backend: Backend) -> Parts:
    (turn, *others) = body.messages
    if others or turn.role != "user":
        raise Refused("messages", "messages: one message of the user is taken, and no other")
    if not isinstance(turn.content, list) or all(one.data is None for one in turn.content):
        raise Refused(
            "messages", f"messages hold no part of the type prompt_embeds: {WHAT_THIS_IS}"
        )
    refuse_inexpressible(backend.card, "messages")
    return [_part(one, number, backend) for number, one in enumerate(turn.content)]


def _part(part: Part, number: int, backend: Backend) -> str | np.ndarray:
    field = f"messages.0.content.{number}"
    content, other = (part.text, part.data) if part.type == "text" else (part.data, part.text)
    if content is None or other is not None:
        name = "text" if part.type == "text" else "data"
        raise Refused(field, f"{field} is of the type {part.type}; give {name} alone")
    if part.type == "prompt_embeds":
        return rows_in_torch_file(content, backend.card, field)
    check_most(field, len(content), backend.card.limits.max_input_chars, "characters")
    return content


def _texts(
    backend: Backend, parts: Parts, body: EmbedsRequest, most: int, *, as_chat: bool
) -> AsyncGenerator[Drawn]:
    refuse_unknown(body.model_extra)
    sampling = sampling_asked(body, most, body.seed, backend.card.limits, field="max_tokens")
    ending = ending_asked(body.stop, keeps_stop=bool(body.include_stop_str_in_output))
    rows = "messages" if as_chat else "prompt_embeds"
    names = {"input_embeds": rows, "max_new_tokens": "max_tokens"}
    return drawn(backend.generate(parts, sampling, as_chat=as_chat), ending, names)


async def _last(texts: AsyncGenerator[Drawn]) -> Drawn:
    return [text async for text in texts][-1]


class _Answer:
    """An answer in OpenAI's shapes, whole or in chunks of what is new."""

    def __init__(self, request: Request, kind: str, num_prompt_tokens: int | None) -> None:
        self._is_chat = kind == "chat.completion"
        self._num_prompt_tokens = num_prompt_tokens
        prefix = "chatcmpl" if self._is_chat else "cmpl"
        self._head = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": notes_of(request.scope).bundle,
        }

    def whole(self, texts: Sequence[Drawn]) -> Mapping[str, Any]:
        """All texts."""
        choices = [
            {"index": index, **self._text(one.text, "message"), **_ended(one)}
            for index, one in enumerate(texts)
        ]
        return {**self._head, "choices": choices, "usage": self._usage(texts)}

    async def chunks(
        self, texts: AsyncGenerator[Drawn], options: StreamOptions | None
    ) -> AsyncGenerator[Content]:
        """What every step adds to one text."""
        head = dict(self._head)
        if self._is_chat:
            head["object"] = "chat.completion.chunk"
        last, num_sent = None, 0
        async for one in texts:
            text = self._text(one.text[num_sent:], "delta", is_first=last is None)
            yield {**head, "choices": [{"index": 0, **text, **_ended(one)}]}
            last, num_sent = one, max(num_sent, len(one.text))
        if options is not None and options.include_usage and last is not None:
            yield {**head, "choices": [], "usage": self._usage([last])}

    def _text(self, text: str, key: str, *, is_first: bool = True) -> Mapping[str, Any]:
        if not self._is_chat:
            return {"text": text}
        return {key: {**({"role": "assistant"} if is_first else {}), "content": text}}

    def _usage(self, texts: Sequence[Drawn]) -> Mapping[str, int] | None:
        counts = [one.num_tokens for one in texts if one.num_tokens is not None]
        if self._num_prompt_tokens is None or len(counts) < len(texts):
            return None
        num_drawn = sum(counts)
        return {
            "prompt_tokens": self._num_prompt_tokens,
            "completion_tokens": num_drawn,
            "total_tokens": self._num_prompt_tokens + num_drawn,
        }


def _ended(one: Drawn) -> Mapping[str, Any]:
    """`stop_reason` is vLLM's: the text that ended it."""
    return {"logprobs": None, "finish_reason": one.reason, "stop_reason": one.matched}
