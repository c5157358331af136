"""The routes of stored evaluations: their rows found, filtered and sorted, their passages, claims.

No model is asked, and nothing here waits for one.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from interlingua.serving.backend import Limits, NotAvailable
from interlingua.serving.explorer import answers
from interlingua.serving.explorer.claims import claims_of
from interlingua.serving.explorer.finding import facts_at, found_passages, found_rows
from interlingua.serving.explorer.opened import Evaluations
from interlingua.serving.explorer.requests import (
    MOST_CHARS,
    MOST_ROWS,
    USUAL_ROWS,
    ClaimsRequest,
    RowsRequest,
)
from interlingua.serving.explorer.shown import beside, passages_of, rows_of, summary_of
from interlingua.serving.explorer.table import RowTable
from interlingua.serving.http.access import notes_of
from interlingua.serving.http.errors import OwnRoute, UnknownName, json_response
from interlingua.serving.http.limits import check_texts
from interlingua.serving.http.requests import LAST_ID
from interlingua.serving.own.routes import ERRORS

FIRST, LIMIT = Query(ge=0, le=LAST_ID), Query(ge=1, le=MOST_ROWS)


class EvaluationsApi:
    """The routes under /v1/evaluations."""

    def __init__(self, evaluations: Evaluations, limits: Limits) -> None:
        self._evaluations, self._limits = evaluations, limits

    def router(self) -> APIRouter:
        """All routes, to be included in an app."""
        router = APIRouter(
            prefix="/v1/evaluations", route_class=OwnRoute, responses=ERRORS, tags=["evaluations"]
        )
        router.get("", response_model=answers.EvaluationsAnswer)(self.evaluations)
        router.post("/{name}/rows", response_model=answers.RowsAnswer)(self.rows)
        router.get("/{name}/rows/{row}", response_model=answers.WholeRow)(self.row)
        router.get("/{name}/passages", response_model=answers.PassagesAnswer)(self.passages)
        router.post("/{name}/claims", response_model=answers.ClaimsAnswer)(self.claims)
        return router

    async def evaluations(self) -> Response:
        """The evaluations whose rows can be asked for, with what they are of."""
        answer = answers.EvaluationsAnswer(data=[], refused=[])
        for name in self._evaluations.names:
            try:
                answer["data"].append(await self._evaluations.answer(name))
            except NotAvailable as error:
                answer["refused"].append({"name": name, "message": str(error)})
        return json_response(answer)

    async def rows(self, name: str, asked: RowsRequest, request: Request) -> Response:
        """Rows that fit, over all of the evaluation in one order, and what they are together."""
        table = await self._evaluations.table(name)
        answer = await asyncio.to_thread(_rows_answer, table, asked)
        notes_of(request.scope).rows = len(answer["rows"])
        return json_response(answer)

    async def row(self, name: str, row: Annotated[int, Path(ge=0)]) -> Response:
        """One row, and what other predictors made of the same activation."""
        table = await self._evaluations.table(name)
        if row >= len(table):
            raise UnknownName("row", f"row is {row}; the rows are 0 to {len(table) - 1}")
        (own,) = rows_of(table, [row])
        return json_response(answers.WholeRow(**own, beside=rows_of(table, beside(table, row))))

    async def passages(
        self,
        name: str,
        search: Annotated[str, Query(max_length=MOST_CHARS)] = "",
        offset: Annotated[int, FIRST] = 0,
        limit: Annotated[int, LIMIT] = USUAL_ROWS,
    ) -> Response:
        """Passages with their facts, in the order of their ids: as good as drawn by lot."""
        passages = (await self._evaluations.table(name)).passages
        found = await asyncio.to_thread(found_passages, passages, search)
        page = passages_of(passages, found[offset : offset + limit].tolist())
        return json_response(answers.PassagesAnswer(total=len(found), offset=offset, passages=page))

    async def claims(self, name: str, asked: ClaimsRequest) -> Response:
        """The facts that texts name, each with whether it is true of a passage."""
        limits = self._limits
        check_texts(asked.texts, "texts", limits.max_description_chars, limits)
        table = await self._evaluations.table(name)
        facts = facts_at(table, asked.passage_id, asked.position)
        truth = await self._evaluations.truth(name)
        data = await asyncio.to_thread(
            lambda: [claims_of(text, truth, facts) for text in asked.texts]
        )
        return json_response(answers.ClaimsAnswer(data=data))


def _rows_answer(table: RowTable, asked: RowsRequest) -> answers.RowsAnswer:
    found = found_rows(table, asked)
    return answers.RowsAnswer(
        total=len(found),
        offset=asked.offset,
        summary=summary_of(table, found),
        rows=rows_of(table, found[asked.offset : asked.offset + asked.limit].tolist()),
    )
