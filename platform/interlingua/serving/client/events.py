"""Server-sent events as they come, each with JSON in it. Knows no route."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

END = b"[DONE]"


def contents_of(lines: Iterable[bytes]) -> Iterator[Any]:
    """What is in every event, until the one that marks the end; without it a ValueError."""
    parts: list[bytes] = []
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        if name == b"data":
            parts.append(value.removeprefix(b" "))
        elif not name and not value and parts:  # a blank line; with a value it is a comment
            content, parts = b"\n".join(parts), []
            if content == END:
                return
            yield json.loads(content)
    raise ValueError("it ended without its last event")
