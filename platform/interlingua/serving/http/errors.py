"""What goes wrong, in one shape: {"error": {"type", "message", "field", "remedy"}}.

`OwnRoute` gives it to all that its routes raise. Routers of other protocols have shapes of their
own; what is for no route has this one.
"""

import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from interlingua.serving.backend import Busy, NotAvailable, Refused, TimedOut
from interlingua.serving.http.disconnects import until_gone

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 1
CLIENT_LEFT = 499  # read by nobody but the access log
# pydantic's kinds of errors of texts that are none: their type is right, so that they are a 400
NO_TEXT = {"surrogate", "string_unicode"}
MOST_NAMED = 5  # errors of one request
LONGEST = 1000  # characters of a message
RETRY = f"send it again in {RETRY_AFTER_S} s or more"
ROUTES = "GET /openapi.json lists the routes, what they take and examples"
TYPES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
REMEDIES = {
    404: ROUTES,
    405: ROUTES,
    413: "send fewer rows, or vectors as base64",
}


class UnknownName(Refused):
    """What is asked for by its name, as in a path, is not there. HTTP 404."""


class UnknownModel(UnknownName):
    """No bundle has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error as a client sees it; `field` is a path in the request, None where it is of none."""

    status: int
    type: str
    message: str
    field: str | None = None
    remedy: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def content(self) -> dict[str, dict[str, str | None]]:
        """What is sent; with a remedy only where there is one."""
        field = None if self.field is None else _clean(self.field)
        error = {"type": self.type, "message": _clean(self.message), "field": field}
        if self.remedy is not None:
            error["remedy"] = self.remedy
        return {"error": error}


def fault_of(error: Exception) -> Fault:
    """An exception as a client sees it; one that nobody expected is logged, and says nothing."""
    match error:
        case UnknownName():
            return Fault(status=404, type="not_found", message=str(error), field=error.field)
        case Refused():
            return Fault(status=400, type="refused", message=str(error), field=error.field)
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return _of_http(error)
        case Busy():
            message = str(error) or "the queue is full"
            headers = (("Retry-After", str(RETRY_AFTER_S)),)
            return Fault(status=429, type="busy", message=message, remedy=RETRY, headers=headers)
        case NotAvailable():
            return Fault(status=503, type="not_available", message=str(error))
        case TimedOut():
            message = str(error) or "the request took longer than it may"
            remedy = "ask for fewer rows, samples or tokens"
            return Fault(status=408, type="timed_out", message=message, remedy=remedy)
    logger.error("a request failed", exc_info=error)
    return Fault(status=500, type="internal", message="the server failed; its log says why")


def fault_response(fault: Fault) -> Response:
    """A fault as an answer."""
    response = json_response(fault.content, status=fault.status)
    response.headers.update(dict(fault.headers))
    return response


def json_response(content: Mapping[str, Any], status: int = 200) -> Response:
    """Content as JSON in ASCII, in which half a surrogate pair can be written, too."""
    body = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(body, status_code=status, media_type="application/json")


class OwnRoute(APIRoute):
    """A route of this API: errors in its shape, and no work for a client that left."""

    def answered(self, fault: Fault) -> Response:
        """A fault as an answer; other protocols have other shapes."""
        return fault_response(fault)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, watched."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                await request.body()  # all of it, before anything waits for the client's end
                return await until_gone(handler(request), request.receive)
            except ClientDisconnect:
                return Response(status_code=CLIENT_LEFT)
            except Exception as error:
                return self.answered(fault_of(error))

        return answer


def answer_before(scope: Scope, fault: Fault) -> Response:
    """The answer to what is refused before it is routed, in the shape of the route it is for."""
    for context in iter_route_contexts(scope["app"].routes):
        route = context.original_route
        if not isinstance(route, OwnRoute) or scope["method"] not in (context.methods or ()):
            continue
        if context.path_regex.match(scope["path"]):
            return route.answered(fault)
    return fault_response(fault)


async def answer_outside(request: Request, error: Exception) -> Response:
    """The answer to what is raised where no route was found, or by the server around them."""
    fault = fault_of(error)
    if fault.status == 404:
        fault = replace(fault, message=f"no route is at {request.url.path!a}")
    return fault_response(fault)


def _of_validation(error: RequestValidationError) -> Fault:
    found = error.errors()
    places = [_path(one["loc"]) for one in found]
    lines = [f"{place}: {_sentence(one)}" for place, one in zip(places, found, strict=True)]
    if len(lines) > MOST_NAMED:
        lines[MOST_NAMED:] = [f"and {len(lines) - MOST_NAMED} more"]
    message = "; ".join(lines)
    if found[0]["type"] in NO_TEXT:
        return Fault(status=400, type="refused", message=message, field=places[0])
    return Fault(status=422, type="invalid", message=message, field=places[0], remedy=ROUTES)


def _of_http(error: HTTPException) -> Fault:
    status = error.status_code
    return Fault(
        status=status,
        type=TYPES.get(status, "refused" if status < 500 else "internal"),
        message=str(error.detail),
        field="body" if status in (400, 413) else None,
        remedy=REMEDIES.get(status),
        headers=tuple((error.headers or {}).items()),
    )


def _sentence(found: Mapping[str, Any]) -> str:
    if found["type"] == "json_invalid":
        return f"no JSON at character {found['loc'][-1]}: {found['ctx']['error']}"
    return str(found["msg"])


def _path(places: tuple[str | int, ...]) -> str:
    """`texts[1]` of pydantic's ("body", "texts", 1)."""
    path = ""
    inside = places[1:]
    if inside and isinstance(inside[0], int):  # a character of a body that is no JSON
        return "body"
    for place in inside:
        path += f"[{place}]" if isinstance(place, int) else f".{place}"
    return path.removeprefix(".") or "body"


def _clean(text: str) -> str:
    """The beginning of a text that may quote a client, without half surrogate pairs."""
    return text[:LONGEST].encode("utf-8", "backslashreplace").decode()
