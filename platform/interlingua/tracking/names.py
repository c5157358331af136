"""Names and texts as every MLflow server takes them. Knows no run."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from interlingua.specs.text.canonical import TYPE_KEY

MAX_NAME, MAX_TEXT = 250, 500
HASH_DIGITS = 6


def name_of(path: str) -> str:
    """The path in letters that MLflow takes, without parts of dots alone, such as `..`.

    A name that had to be changed ends in a hash of what it was: `a+b` and `a_b` stay two.
    """
    parts = (re.sub(r"[^\w .:-]", "_", part, flags=re.ASCII) for part in path.split("/"))
    name = "/".join(part for part in parts if part.strip("."))
    if name != path:
        name = f"{name}-{digest_of(path.encode())[:HASH_DIGITS]}"
    return cut(name, MAX_NAME)


def text_of(value: object, limit: int = MAX_TEXT) -> str:
    """The value as text that is short enough."""
    return cut(value if isinstance(value, str) else json.dumps(value), limit)


def cut(text: str, limit: int) -> str:
    """The text, its end replaced by a hash where it is too long."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 13]}-{digest_of(text.encode())}"


def digest_of(content: bytes) -> str:
    """Twelve hex digits of the content."""
    return hashlib.sha256(content).hexdigest()[:12]


def leaves(value: Any, separator: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything that holds nothing nested; a type stands at its own path."""
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(i, Mapping | list) for i in value):
        items = dict(enumerate(value)).items()
    else:
        yield path, value
        return
    for key, item in items:
        below = path if path and key == TYPE_KEY else f"{path}{separator}{key}".lstrip(separator)
        yield from leaves(item, separator, below)


def error_line(error: Exception) -> str:
    """The error on one short line, without the password of an address."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return cut(re.sub(r"//[^/@\s]+@", "//", line), 300)
