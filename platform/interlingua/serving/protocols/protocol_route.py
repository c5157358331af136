"""Routes of a protocol: its errors have its shape, before the first byte and as a last frame.

Knows no protocol.
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic_core import PydanticSerializationError, to_json

from interlingua.serving.http.errors import Fault, OwnRoute, fault_of
from interlingua.serving.http.streaming import Events

Content = Mapping[str, Any]


class Json(JSONResponse):
    """JSON of anything that a backend gives, also of text that UTF-8 cannot hold."""

    def render(self, content: Any) -> bytes:
        """NaN is no JSON, and becomes null."""
        try:
            return to_json(content, inf_nan_mode="null")
        except PydanticSerializationError:  # half of a surrogate pair: escaped it can be sent
            return json.dumps(content, allow_nan=False).encode()


class ProtocolRoute(OwnRoute):
    """A route whose errors have the shape of its protocol, and whose work ends with its client."""

    @staticmethod
    def shape(fault: Fault) -> Content:
        """The body of an error."""
        raise NotImplementedError

    @staticmethod
    def status(fault: Fault) -> int:
        """The status of an error."""
        return fault.status

    def answered(self, fault: Fault) -> Response:
        """A fault in the shape of the protocol."""
        headers = dict(fault.headers)
        return Json(self.shape(fault), status_code=self.status(fault), headers=headers)


def sentence(fault: Fault) -> str:
    """The message, behind the name of its field where it does not say it."""
    if fault.field is None or fault.field in fault.message:
        return fault.message
    return f"{fault.field}: {fault.message}"


def schema_is_400(fault: Fault) -> int:
    """The status where a request that does not fit its schema is as bad as any other."""
    return 400 if fault.status == 422 else fault.status


async def events(contents: AsyncGenerator[Content], shape: Callable[[Fault], Content]) -> Events:
    """A stream whose first frame is there: what cannot be answered at all raises here."""
    return Events(_from(await anext(contents), contents, shape), contents)


async def _from(
    first: Content, others: AsyncGenerator[Content], shape: Callable[[Fault], Content]
) -> AsyncGenerator[Content]:
    yield first
    try:
        async for content in others:
            yield content
    except Exception as error:
        yield shape(fault_of(error))
