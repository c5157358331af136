"""Neuronpedia's public API, as far as its notebooks and evaluation harnesses call it.

A source is a bundle for one of its hosts: `modelId` is the host, `nlaSourceId` the bundle. Nothing
is stored between requests, so that no `cacheId` is handed out, and none is taken.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, Card, HostCard, Message, Prompt, Refused
from interlingua.serving.http.errors import Fault
from interlingua.serving.http.requests import Text
from interlingua.serving.protocols.completions import completed, completion_frames, tokenized
from interlingua.serving.protocols.explanations import (
    explain_frames,
    explain_results,
    reading_of,
)
from interlingua.serving.protocols.fields import ChatMessage, Seed, Temperature, prompt_of
from interlingua.serving.protocols.neuronpedia_models import ExplainResult, TokenInfo
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
    host_of,
    named,
    note_rows,
    sampling_of,
)

MAX_NEW_TOKENS = 256
NO_CACHE = "this server keeps no explanations; leave priorCacheId out and name all positions"
NOT_OFFERED = {
    "explain-saelens": "this server reads no SAE; send a decoder row to POST /describe",
    "explain-share": "this server keeps no explanations, so that there is none to share",
    "cache": "this server keeps no explanations",
}


class PublicRoute(ProtocolRoute):
    """Errors as this protocol has them."""

    status = staticmethod(schema_is_400)

    @staticmethod
    def shape(fault: Fault) -> Content:
        """One sentence."""
        return {"error": sentence(fault)}


router = APIRouter(prefix="/api/nla", route_class=PublicRoute, tags=["Neuronpedia, public"])


class SourceRequest(BaseModel):
    """Fields of both requests; others that belong to the cache alone are not read."""

    model_config = ConfigDict(protected_namespaces=())

    modelId: Text | None = Field(default=None, description="A host; the anchor if left out.")
    nlaSourceId: Text | None = Field(default=None, description="A bundle.")
    text: Text | None = None
    messages: list[ChatMessage] | None = None
    add_generation_prompt: bool | None = None
    temperature: Temperature | None = None
    stream: bool | None = None
    seed: Seed | None = None


class ExplainRequest(SourceRequest):
    """Tokens of a prompt to be explained."""

    positions: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    priorCacheId: Any = Field(default=None, description=NO_CACHE)


class CompletionRequest(SourceRequest):
    """A chat that the host goes on with; without `completion_tokens` it is tokenized only."""

    completion_tokens: int | None = Field(default=None, ge=0)


class SourceModel(BaseModel):
    """The host of a source; the last says whether it can complete."""

    id: str
    displayName: str
    openRouterAvailable: bool


class Source(BaseModel):
    """A bundle for one of its hosts; `norm` is the MSE of predicting the mean of its vectors."""

    model_config = ConfigDict(protected_namespaces=())

    modelId: str
    id: str
    displayName: str
    description: str
    url: str
    author: str
    av: str
    ar: str
    layerNum: int
    norm: float
    createdAt: str
    model: SourceModel


class Sources(BaseModel):
    """All sources."""

    sources: list[Source]


class ExplainResponse(BaseModel):
    """Explanations in the order of their tokens."""

    results: list[ExplainResult]
    layer_index: int
    prompt_length: int


class CompletionResponse(BaseModel):
    """What was drawn, and the whole chat in tokens."""

    completion: str
    full_text: str
    tokens: list[TokenInfo]


@router.get("/sources", response_model=Sources)
async def sources(request: Request) -> Response:
    """Every host of every bundle; under a bundle's address, of that bundle."""
    backend_of(request)  # an unknown bundle has no sources
    found = [
        _source(name, backend.card, host)
        for name, backend in backends_of(request).items()
        for host in backend.card.hosts.values()
    ]
    found.sort(key=lambda one: (one.modelId, one.layerNum, one.id))
    return Json(Sources(sources=found).model_dump())


@router.post("/explain", response_model=ExplainResponse)
async def explain(body: ExplainRequest, request: Request) -> Response:
    """Explanations of tokens of a prompt, as a stream of frames where one is asked for."""
    backend, host = _asked(body, request)
    if body.priorCacheId is not None:
        raise Refused("priorCacheId", f"priorCacheId: {NO_CACHE}")
    most = min(MAX_NEW_TOKENS, backend.card.limits.max_new_tokens)
    places = sorted(set(body.positions))
    if body.text:  # here it goes before the messages, which are those that it was made of
        body = body.model_copy(update={"messages": None})
    reading = await reading_of(backend, host, _prompt(body, backend.card), places)
    note_rows(request, len(places))
    sampling = _sampling(body, most)
    if body.stream:
        return await events(explain_frames(backend, host, reading, sampling), PublicRoute.shape)
    answer = ExplainResponse(
        results=await explain_results(backend, host, reading, sampling),
        layer_index=host.block_index,
        prompt_length=len(reading.tokens),
    )
    return Json(answer.model_dump())


@router.post("/completion", response_model=CompletionResponse)
async def completion(body: CompletionRequest, request: Request) -> Response:
    """What the host goes on with, and the whole chat in tokens, for `explain` to point at."""
    backend, host = _asked(body, request)
    prompt = _prompt(body, backend.card)
    if not body.completion_tokens:
        return Json(tokenized(await backend.tokenize(host.tag, prompt)).model_dump())
    most = backend.card.limits.max_completion_tokens
    sampling = _sampling(body, min(body.completion_tokens, most))
    if body.stream:
        return await events(completion_frames(backend, host, prompt, sampling), PublicRoute.shape)
    reading, piece = await completed(backend, host, prompt, sampling)
    whole = tokenized(reading, piece)
    if prompt.messages is not None:
        # In the template's own tokens: positions must be those that `explain` counts.
        turns = (*prompt.messages, Message(role="assistant", content=piece.text))
        done = Prompt(messages=turns, add_generation_prompt=False, enable_thinking=False)
        whole = tokenized(await backend.tokenize(host.tag, done))
    answer = CompletionResponse(completion=piece.text, full_text=whole.text, tokens=whole.tokens)
    return Json(answer.model_dump())


@router.post("/explain-saelens", include_in_schema=False)
@router.post("/explain-share", include_in_schema=False)
@router.get("/cache/{cache_id}", include_in_schema=False)
async def not_offered(request: Request) -> Response:
    """Routes of that API that this server does not have, and why."""
    name = next(name for name in NOT_OFFERED if f"/api/nla/{name}" in request.url.path)
    raise Refused(name, f"{name} is not offered: {NOT_OFFERED[name]}")


def _asked(body: SourceRequest, request: Request) -> tuple[Backend, HostCard]:
    """The backend and the host of a source."""
    backend = backend_of(request)
    if body.nlaSourceId is not None:
        backend = named(request, backends_of(request), body.nlaSourceId, "nlaSourceId")
    return backend, host_of(backend.card, body.modelId, field="modelId")


def _prompt(body: SourceRequest, card: Card) -> Prompt:
    """A finished turn of the assistant is not opened again; none of the chats thinks aloud."""
    opens = body.add_generation_prompt
    if opens is None:
        opens = not body.messages or body.messages[-1].role != "assistant"
    return prompt_of(
        body.text,
        body.messages,
        card.limits,
        add_generation_prompt=opens,
        enable_thinking=False,
    )


def _sampling(body: SourceRequest, max_new_tokens: int) -> Sampling:
    temperature = 0.7 if body.temperature is None else body.temperature
    return sampling_of(temperature, max_new_tokens, body.seed)


def _source(name: str, card: Card, host: HostCard) -> Source:
    return Source(
        modelId=host.tag,
        id=name,
        displayName=f"{name}: {host.tag}",
        description=f"{card.stage}; trunk {card.trunk}; output of block {host.block_index}",
        url=f"/bundles/{name}/",
        author="",
        av=f"{name}/av",
        ar=f"{name}/ar",
        layerNum=host.block_index,
        norm=host.variance,
        createdAt=datetime.fromtimestamp(card.created_at, UTC).isoformat(),
        model=SourceModel(
            id=host.tag,
            displayName=host.tag,
            openRouterAvailable=host.is_here and host.is_whole,
        ),
    )
