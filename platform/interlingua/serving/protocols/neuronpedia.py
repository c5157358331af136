"""Neuronpedia's NLA server: what its web app, its notebooks and clients like them call.

For a bundle's anchor, or for the host that is named. Descriptions of one request are drawn in one
batch. Their AR may score a text whose closing tag is missing; so does this.
"""

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from interlingua.core.geometry import norms
from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Backend, Card, HostCard, Prompt, Refused
from interlingua.serving.http.errors import Fault
from interlingua.serving.http.requests import Text
from interlingua.serving.http.wire import vectors_of
from interlingua.serving.protocols.completions import completed, completion_frames, tokenized
from interlingua.serving.protocols.explanations import (
    description_result,
    explain_frames,
    explain_results,
    in_reverse,
    reading_of,
    tokens_read,
)
from interlingua.serving.protocols.fields import prompt_of
from interlingua.serving.protocols.neuronpedia_models import (
    CompareRequest,
    CompareResponse,
    CompletionRequest,
    DescribeRequest,
    DescribeResponse,
    Drawing,
    ExplainRequest,
    ExplainResponse,
    ExtractResponse,
    HealthLimits,
    HealthResponse,
    PromptRequest,
    ScoreRequest,
    ScoreResponse,
    TokenizeResponse,
)
from interlingua.serving.protocols.protocol_route import (
    Content,
    Json,
    ProtocolRoute,
    events,
    sentence,
)
from interlingua.serving.protocols.shared import (
    Description,
    backend_of,
    check_most,
    cosines,
    described,
    descriptions,
    host_of,
    nmse_of,
    note_rows,
    sampling_of,
)

EXPLORER = "/explorer/"


class NeuronpediaRoute(ProtocolRoute):
    """Errors as this protocol has them."""

    @staticmethod
    def shape(fault: Fault) -> Content:
        """A sentence; a list of one where the request does not fit its schema."""
        if fault.status != 422:
            return {"detail": sentence(fault)}
        place = ["body", *([fault.field] if fault.field else [])]
        return {"detail": [{"loc": place, "msg": sentence(fault), "type": fault.type}]}


router = APIRouter(route_class=NeuronpediaRoute, tags=["Neuronpedia"])
Served = Annotated[Backend, Depends(backend_of)]
HostQuery = Annotated[Text | None, Query(description="A host, where the body names none.")]


@router.get("/", response_model=HealthResponse)
async def status(request: Request, backend: Served, host: HostQuery = None) -> Response:
    """What is served here; a browser is sent to the pages."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(request.scope.get("root_path", "") + EXPLORER)
    card = backend.card
    return Json(_health(card, host_of(card, host)).model_dump(), headers={"Vary": "Accept"})


@router.post("/tokenize", response_model=TokenizeResponse)
async def tokenize(body: PromptRequest, backend: Served, host: HostQuery = None) -> Response:
    """A prompt in the host's tokens."""
    asked = _host(backend, body.host, host)
    reading = await backend.tokenize(asked.tag, _prompt(body, backend))
    return Json(tokenized(reading).model_dump())


@router.post("/extract", response_model=ExtractResponse)
async def extract(body: PromptRequest, backend: Served, host: HostQuery = None) -> Response:
    """The raw activation of every token of a prompt."""
    asked = _host(backend, body.host, host)
    reading = await reading_of(backend, asked, _prompt(body, backend), None)
    h_ND = reading.h_ND
    rows = zip(tokens_read(reading), h_ND.tolist(), norms(h_ND).tolist(), strict=True)
    tokens = [
        {
            "token": token.text,
            "token_id": token.id,
            "position": token.position,
            "activation": h_D,
            "l2_norm": l2_norm,
        }
        for token, h_D, l2_norm in rows
    ]
    return Json({"layer_index": asked.block_index, "tokens": tokens})


@router.post("/explain", response_model=ExplainResponse)
async def explain(
    body: ExplainRequest, request: Request, backend: Served, host: HostQuery = None
) -> Response:
    """Descriptions of tokens of a prompt, as a stream of frames where one is asked for."""
    asked, sampling = _host(backend, body.host, host), _sampling(body, backend)
    reading = await reading_of(backend, asked, _prompt(body, backend), body.positions)
    reading = in_reverse(reading) if body.reverse else reading
    note_rows(request, len(reading.h_ND))
    if body.stream:
        return await events(
            explain_frames(backend, asked, reading, sampling), NeuronpediaRoute.shape
        )
    results = await explain_results(backend, asked, reading, sampling)
    return Json(ExplainResponse(layer_index=asked.block_index, results=results).model_dump())


@router.post("/describe", response_model=DescribeResponse)
async def describe(
    body: DescribeRequest, request: Request, backend: Served, host: HostQuery = None
) -> Response:
    """Descriptions of raw activations, as a stream of frames where one is asked for."""
    asked, sampling = _host(backend, body.host, host), _sampling(body, backend)
    most = backend.card.limits.max_rows
    check_most("activations", len(body.activations), most, "activations")
    h_ND = vectors_of(
        body.activations, field="activations", width=asked.width, host=asked.tag, max_rows=most
    )
    note_rows(request, len(h_ND))
    if body.stream:
        return await events(
            _describe_frames(backend, asked, h_ND, sampling), NeuronpediaRoute.shape
        )
    found = await descriptions(backend, asked, h_ND, sampling)
    return Json(DescribeResponse(results=[*map(description_result, found)]).model_dump())


@router.post("/score", response_model=ScoreResponse)
async def score_description(
    body: ScoreRequest, backend: Served, host: HostQuery = None
) -> Response:
    """How near the AR's vector of a text is to an activation."""
    asked = _host(backend, body.host, host)
    most = backend.card.limits.max_description_chars
    check_most("description", len(body.description), most, "characters")
    h_1D = _vector(body.activation, "activation", asked)
    try:
        (cos,) = await cosines(backend, asked, [body.description], h_1D)
    except Refused as error:
        raise Refused("description", str(error)) from error
    return Json(ScoreResponse(mse=nmse_of(cos), cosine_similarity=cos).model_dump())


@router.post("/compare", response_model=CompareResponse)
async def compare(body: CompareRequest, backend: Served, host: HostQuery = None) -> Response:
    """The description of the first activation less the second."""
    asked, sampling = _host(backend, body.host, host), _sampling(body, backend)
    for field, given in (("activation_a", body.activation_a), ("activation_b", body.activation_b)):
        _vector(given, field, asked)
    # As they were given: a vector that was made ready for the AV has another length.
    with np.errstate(over="ignore"):  # what is no number any more is refused as one that was sent
        difference_D = np.array(body.activation_a, float) - np.array(body.activation_b, float)
    if not difference_D.any():
        raise Refused("activation_b", "activation_b is activation_a; their difference is zero")
    h_1D = _vector(difference_D.tolist(), "activation_a", asked)
    diff_norm = math.hypot(*difference_D)  # without a square that could overflow
    if not math.isfinite(diff_norm):
        raise Refused("activation_a", "activation_a and activation_b are too far apart")
    (found,) = await descriptions(backend, asked, h_1D, sampling)
    result = description_result(found).model_dump()
    return Json(CompareResponse(diff_norm=diff_norm, **result).model_dump())


@router.post("/completion", response_model=TokenizeResponse)
async def completion(body: CompletionRequest, backend: Served, host: HostQuery = None) -> Response:
    """What the host itself goes on with; a host that was cut behind its block cannot."""
    asked, prompt = _host(backend, body.host, host), _prompt(body, backend)
    num_tokens = min(body.completion_tokens, backend.card.limits.max_completion_tokens)
    sampling = sampling_of(body.temperature, num_tokens, body.seed)
    if body.stream:
        return await events(
            completion_frames(backend, asked, prompt, sampling), NeuronpediaRoute.shape
        )
    reading, piece = await completed(backend, asked, prompt, sampling)
    return Json(tokenized(reading, piece).model_dump())


async def _describe_frames(
    backend: Backend, host: HostCard, h_ND: np.ndarray, sampling: Sampling
) -> AsyncGenerator[Content]:
    """Their server leaves `index` out of a finished one, which then cannot be told from others."""
    async with aclosing(described(backend, host, h_ND, sampling)) as every:
        async for one in every:
            if isinstance(one, Description):
                yield {"index": one.row, **description_result(one).model_dump()}
            else:
                yield {"index": one.row, "text": one.text, "done": False}


def _health(card: Card, host: HostCard) -> HealthResponse:
    limits = card.limits
    return HealthResponse(
        verbalizer_model=card.name,
        verbalizer_device=card.devices.get("av"),
        reconstructor_device=card.devices.get("ar"),
        source_device=card.devices.get("hosts") if host.is_here else None,
        d_model=host.width,
        source_model=host.tag if host.is_here else None,
        extraction_layer=host.block_index,
        source_truncated=not host.is_whole if host.is_here else None,
        completion_available=host.is_here and host.is_whole,
        max_concurrent=limits.max_batch_rows,
        # Requests wait in one queue, a request for at least one row of it.
        max_concurrent_explains=limits.max_queued_rows,
        max_describe_requests=limits.max_queued_rows,
        source_max_concurrent=limits.max_batch_rows,
        reconstructor_max_concurrent=limits.max_batch_rows,
        limits=HealthLimits(
            max_input_chars=limits.max_input_chars,
            max_positions_per_request=limits.max_positions,
            max_new_tokens=limits.max_new_tokens,
            max_describe_batch=limits.max_rows,
            max_description_chars=limits.max_description_chars,
            max_completion_tokens=limits.max_completion_tokens,
        ),
    )


def _host(backend: Backend, in_body: str | None, in_query: str | None) -> HostCard:
    if in_body is not None and in_query not in (None, in_body):
        raise Refused("host", f"host is {in_body!a} in the body and {in_query!a} in the query")
    return host_of(backend.card, in_query if in_body is None else in_body)


def _prompt(body: PromptRequest, backend: Backend) -> Prompt:
    return prompt_of(
        body.text,
        body.messages,
        backend.card.limits,
        add_generation_prompt=body.add_generation_prompt,
        continue_final_message=body.continue_final_message,
        enable_thinking=body.enable_thinking,
    )


def _sampling(body: Drawing, backend: Backend) -> Sampling:
    most, asked = backend.card.limits.max_new_tokens, body.max_new_tokens
    if "max_new_tokens" not in body.model_fields_set:
        asked = min(asked, most)
    check_most("max_new_tokens", asked, most, "tokens")
    return sampling_of(body.temperature, asked, body.seed)


def _vector(given: list[Any], field: str, host: HostCard) -> np.ndarray:
    if given and isinstance(given[0], list):
        raise Refused(field, f"{field} is a list of lists; give the numbers of one vector")
    return vectors_of(given, field=field, width=host.width, host=host.tag, max_rows=1)
