"""The platform's own API: what is asked, answered by the models of a bundle.

h: raw activations [N, D] of a host; n(h): at the norm sqrt(D).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from interlingua.serving.backend import Backend, HostCard, Refused
from interlingua.serving.http import requests
from interlingua.serving.http.access import notes_of
from interlingua.serving.http.errors import OwnRoute, json_response
from interlingua.serving.http.frames import MEDIA_TYPE
from interlingua.serving.http.limits import check_texts, check_work, greedy_sampling_of, sampling_of
from interlingua.serving.http.streaming import begun_events
from interlingua.serving.http.wire import encoded, vectors_of
from interlingua.serving.own import answers
from interlingua.serving.own.answers import explained, frame_content, token_answers
from interlingua.serving.own.controls import check_passage, controls_of
from interlingua.serving.own.draws import Draw
from interlingua.serving.own.model_answers import ModelAnswer, ModelsAnswer, model_answer
from interlingua.serving.own.numbers import numbers_of
from interlingua.serving.own.round_trips import each_trip, round_trips, trip_frame
from interlingua.serving.own.sources import (
    bundle_of,
    host_of,
    readings_of,
    rows_of,
    tokenized,
)

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": answers.ErrorAnswer, "description": description}
    for status, description in {
        400: "A value that cannot be; `field` names it.",
        401: "No token.",
        403: "Another token.",
        404: "No such bundle.",
        408: "It took too long.",
        413: "The body is too large.",
        422: "Another shape than a request has.",
        429: "The queue is full; Retry-After says when to come again.",
        503: "These models do not have it, or no bundle is open.",
    }.items()
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string"},
                "example": (
                    'data: {"model": "demo", "host": "toy-a", "total": 1, "data": [...]}\n\n'
                    'data: {"index": 0, "sample": 0, "text": "<explanation>", "done": false}\n\n'
                    'data: {"index": 0, "sample": 0, "done": true, "explanation": "a", ...}\n\n'
                    "data: [DONE]\n\n"
                ),
            }
        }
    }
}


class OwnApi:
    """The routes under /v1 over bundles by name; the mapping is read at every request."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    def router(self) -> APIRouter:
        """All routes, to be included in an app."""
        router = APIRouter(prefix="/v1", route_class=OwnRoute, responses=ERRORS, tags=["v1"])
        router.get("/models", response_model=ModelsAnswer)(self.models)
        router.get("/models/{name:path}", response_model=ModelAnswer)(self.model)
        router.post("/tokens", response_model=answers.TokensAnswer)(self.tokens)
        router.post("/activations", response_model=answers.ActivationsAnswer)(self.activations)
        verbalize = router.post(
            "/verbalize", response_model=answers.VerbalizeAnswer, responses=STREAM
        )
        verbalize(self.verbalize)
        router.post("/reconstruct", response_model=answers.ReconstructAnswer)(self.reconstruct)
        roundtrip = router.post(
            "/roundtrip", response_model=answers.RoundtripAnswer, responses=STREAM
        )
        roundtrip(self.roundtrip)
        router.post("/controls", response_model=answers.ControlsAnswer)(self.controls)
        router.post("/score", response_model=answers.ScoreAnswer)(self.score)
        return router

    async def models(self) -> Response:
        """The bundles that are open, as OpenAI's API lists models; the first is the default."""
        data = [model_answer(name, backend.card) for name, backend in list(self._backends.items())]
        return json_response(ModelsAnswer(object="list", data=data))

    async def model(self, name: str, means: bool = False) -> Response:
        """One bundle; with `means`, also the mean activation of every host."""
        name, backend = bundle_of(self._backends, name)
        return json_response(model_answer(name, backend.card, has_means=means))

    async def tokens(self, asked: requests.TokensRequest, request: Request) -> Response:
        """Texts as a host tokenizes them; nothing is read."""
        name, backend, host = self._chosen(asked, request)
        data = [
            answers.TextTokens(
                index=number, text=reading.text, tokens=token_answers(reading.tokens)
            )
            for number, reading in enumerate(await tokenized(asked, backend, host))
        ]
        answer = answers.TokensAnswer(
            model=name, host=host.tag, width=host.width, max_tokens=host.max_tokens, data=data
        )
        return json_response(answer)

    async def activations(self, asked: requests.ActivationsRequest, request: Request) -> Response:
        """Raw activations of texts: at tokens, or of the whole as in training."""
        name, backend, host = self._chosen(asked, request)
        readings = await readings_of(asked, backend, host)
        notes_of(request.scope).rows = sum(len(reading.h_ND) for reading in readings)
        data = [
            answers.TextActivations(
                index=number,
                text=reading.text,
                tokens=token_answers(reading.tokens),
                positions=list(reading.positions),
                activations=encoded(reading.h_ND, asked.vector_form),
            )
            for number, reading in enumerate(readings)
        ]
        answer = answers.ActivationsAnswer(
            model=name,
            host=host.tag,
            block_index=host.block_index,
            width=host.width,
            data=data,
        )
        return json_response(answer)

    async def verbalize(self, asked: requests.VerbalizeRequest, request: Request) -> Response:
        """Explanations of activations, or of what a host reads in texts; at once or streamed."""
        draw = await self._draw(asked, request)
        if asked.stream:
            pieces = draw.pieces(wants_partial=True)
            return await begun_events(draw.opening, pieces, frame_content)
        data: list[answers.ExplainedRow] = [
            {**origin, "explanations": [explained(piece) for piece in samples]}
            for origin, samples in zip(draw.rows.origins, await draw.samples(), strict=True)
        ]
        answer = answers.VerbalizeAnswer(model=draw.name, host=draw.host.tag, data=data)
        return json_response(answer)

    async def reconstruct(self, asked: requests.ReconstructRequest, request: Request) -> Response:
        """The vectors that texts stand for: of a host, at the norm sqrt(D), or shared."""
        name, backend = self._bundle(asked, request)
        limits, host = backend.card.limits, None
        if asked.host is not None:
            host = host_of(backend.card, asked.host).tag
        check_texts(asked.texts, "texts", limits.max_description_chars, limits)
        notes_of(request.scope).rows = len(asked.texts)
        a_ND = await backend.reconstruct(asked.texts, host)
        answer = answers.ReconstructAnswer(
            model=name,
            host=host,
            width=a_ND.shape[1],
            vectors=encoded(a_ND, asked.vector_form),
        )
        return json_response(answer)

    async def roundtrip(self, asked: requests.RoundtripRequest, request: Request) -> Response:
        """Activations to texts and back, with numbers beside what would be no feat.

        Streamed, a text has its numbers as soon as it has ended.
        """
        draw = await self._draw(asked, request)
        if asked.stream:
            return await begun_events(draw.opening, each_trip(draw, asked), trip_frame)
        trips = await round_trips(draw, asked)
        data: list[answers.RoundtripRow] = [
            {**origin, "explanations": trips_of_row}
            for origin, trips_of_row in zip(draw.rows.origins, trips, strict=True)
        ]
        answer = answers.RoundtripAnswer(model=draw.name, host=draw.host.tag, data=data)
        return json_response(answer)

    async def controls(self, asked: requests.ControlsRequest, request: Request) -> Response:
        """What systems that know less make of activations, so that a number can be judged.

        They are the mean, the AV shown zeros, the mean or another passage, the nearest passage
        that the bundle brings, and the text itself. Texts are greedy.
        """
        name, backend, host = self._chosen(asked, request)
        sampling = greedy_sampling_of(asked, backend.card.limits)
        check_passage(asked, backend.card.limits)
        rows = await rows_of(asked, backend, host)
        notes_of(request.scope).rows = len(rows.h_ND)
        draw = Draw(name=name, backend=backend, host=host, rows=rows, sampling=sampling)
        data: list[answers.ControlledRow] = [
            {**origin, "controls": controls}
            for origin, controls in zip(rows.origins, await controls_of(draw, asked), strict=True)
        ]
        return json_response(answers.ControlsAnswer(model=name, host=host.tag, data=data))

    async def score(self, asked: requests.ScoreRequest, request: Request) -> Response:
        """How well explanations stand for activations, one for each."""
        name, backend, host = self._chosen(asked, request)
        limits = backend.card.limits
        check_texts(asked.explanations, "explanations", limits.max_description_chars, limits)
        h_ND = vectors_of(
            asked.activations,
            field="activations",
            width=host.width,
            host=host.tag,
            max_rows=limits.max_rows,
        )
        if len(h_ND) != len(asked.explanations):
            raise Refused(
                "explanations",
                f"{len(asked.explanations)} explanations of {len(h_ND)} activations; send one each",
            )
        notes_of(request.scope).rows = len(h_ND)
        try:
            rebuilt_ND = await backend.reconstruct(asked.explanations, host.tag)
        except Refused as error:
            raise Refused(error.field.replace("texts", "explanations", 1), str(error)) from error
        found = await asyncio.to_thread(numbers_of, rebuilt_ND, h_ND, host)
        data: list[answers.ScoredRow] = [{"index": row, **one} for row, one in enumerate(found)]
        return json_response(answers.ScoreAnswer(model=name, host=host.tag, data=data))

    def _bundle(self, asked: requests.Request, request: Request) -> tuple[str, Backend]:
        name, backend = bundle_of(self._backends, asked.model)
        notes_of(request.scope).bundle = name
        return name, backend

    def _chosen(
        self, asked: requests.Tokenizes | requests.ScoreRequest, request: Request
    ) -> tuple[str, Backend, HostCard]:
        name, backend = self._bundle(asked, request)
        return name, backend, host_of(backend.card, asked.host)

    async def _draw(self, asked: requests.Verbalizes, request: Request) -> Draw:
        name, backend, host = self._chosen(asked, request)
        sampling = sampling_of(asked, backend.card.limits)  # before anything is read
        rows = await rows_of(asked, backend, host)
        check_work(len(rows.h_ND), sampling, backend.card.limits)
        notes_of(request.scope).rows = len(rows.h_ND)
        return Draw(name=name, backend=backend, host=host, rows=rows, sampling=sampling)
