"""Server-sent events: a line of JSON a frame."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

MEDIA_TYPE = "text/event-stream"
END = b"data: [DONE]\n\n"


def frame(content: Mapping[str, Any]) -> bytes:
    """One event; ASCII, so that no line break ends it, and without NaN, which is no JSON."""
    return f"data: {json.dumps(content, allow_nan=False)}\n\n".encode()


async def frames(contents: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    """The events of a stream, and the mark of its end."""
    async for content in contents:
        yield frame(content)
    yield END
