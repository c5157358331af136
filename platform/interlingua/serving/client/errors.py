"""What goes wrong with a server, in its own words. Knows the shapes of errors, and no route."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple, Self

LONGEST = 500  # characters of an answer that has none of the known shapes


class EndpointError(Exception):
    """A server refused, failed, or was not there.

    `status` is None where no answer came; `field` is a path in the request that was sent.
    """

    def __init__(
        self, url: str, message: str, status: int | None = None, field: str | None = None
    ) -> None:
        super().__init__(url, message, status, field)
        self.url, self.message, self.status, self.field = url, message, status, field

    def __str__(self) -> str:
        begin = self.url if self.status is None else f"{self.url} answered {self.status}"
        is_named = self.field is None or is_word_of(self.field, self.message)
        return f"{begin}: {self.message}" + ("" if is_named else f" (field: {self.field})")

    def in_rows(self, first: int, last: int) -> Self:
        """The same, of a request that had a part of a larger call; its field counts within it."""
        message = f"{self.message} (in the request of rows {first} to {last})"
        return type(self)(self.url, message, self.status, self.field)


class NotOffered(Exception):
    """Something that the server behind a URL does not have, whatever is sent."""


def is_word_of(name: str, text: str) -> bool:
    """Whether a name stands in a text, not as a part of another word."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


class Fault(NamedTuple):
    """An error as a server words it."""

    message: str
    field: str | None


def fault_of(body: bytes) -> Fault:
    """The error in the body of an answer, in whichever shape it is."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    fault = fault_in(content)
    if fault is None:
        text = " ".join(body[:LONGEST].decode("utf-8", "replace").split())
        return Fault(text or "no reason was given", None)
    return fault


def fault_in(content: object) -> Fault | None:
    """The error that a content is: of our API, of OpenAI's, or of FastAPI; None: it is none."""
    match content:
        case {"error": {"message": str(message), **more}}:
            field = more.get("field")
            remedy = more.get("remedy")
            text = f"{message}; {remedy}" if isinstance(remedy, str) else message
            return Fault(text, field if isinstance(field, str) else None)
        case {"error": str(message)} | {"detail": str(message)}:
            return Fault(message, None)
        case {"detail": [Mapping() as first, *_]}:
            places = first.get("loc")
            inside = [str(place) for place in places] if isinstance(places, list) else []
            field = ".".join(place for place in inside if place != "body") or None
            return Fault(str(first.get("msg", "no reason was given")), field)
    return None
