"""The names of recorded answers, and answers made small. Knows no route.

The page finds an answer by a name that it makes itself: the rules are those of
serve/explorer/js/recorded_keys.js and of `unpacked` in recorded.js.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# How an answer is written, not what it says; and the words of a vector, which its site has already.
LEFT_OUT = {"stream", "vector_form", "rebuilt", "passage"}
USUAL = {"n": 1, "temperature": 0, "seed": 0}
DIGITS = 6  # significant ones of a recorded number
FEWEST = 4  # objects that are recorded by field
BASIS, PRIME, MASK = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1


def asked_key(method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """The name of the answer to a request."""
    plain, _, query = path.partition("?")
    parts = sorted(one for one in query.split("&") if one and not one.startswith("limit="))
    place = f"{plain}?{'&'.join(parts)}" if parts else plain
    if body is None:
        return f"{method} {place}"
    asked = {
        name: value
        for name, value in body.items()
        if name not in LEFT_OUT and value is not None and not _is_usual(name, value)
    }
    return f"{method} {place} {_hash(_canonical(asked))}"


def packed(value: Any) -> Any:
    """An answer with numbers rounded, and many objects of one shape by field; strings unchanged."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {name: packed(one) for name, one in value.items()}
        case list() if _is_table(value):
            return _by_field([{name: packed(one) for name, one in row.items()} for row in value])
        case list():
            return [packed(one) for one in value]
    return value


def _is_usual(name: str, value: Any) -> bool:
    return name in USUAL and not isinstance(value, bool) and USUAL[name] == value


def _canonical(value: Any) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            # Names of fields are ASCII: sorted alike by code points and by units of UTF-16.
            pairs = (f"{json.dumps(name)}:{_canonical(value[name])}" for name in sorted(value))
            return "{" + ",".join(pairs) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_canonical, value)) + "]"
        case float():
            return _number(value)
    return json.dumps(value)


def _number(value: float) -> str:
    """As JavaScript writes it, of the sizes that requests have."""
    if value and not 1e-4 <= abs(value) < 1e16:
        raise ValueError(f"{value} is written otherwise in JavaScript; no request here has it")
    return str(int(value)) if value.is_integer() else repr(value)


def _hash(text: str) -> str:
    found = BASIS
    for byte in text.encode():
        found = (found ^ byte) * PRIME & MASK
    return f"#{found:016x}"


def _is_table(rows: Sequence[Any]) -> bool:
    first = rows[0] if rows else None
    return (
        len(rows) >= FEWEST
        and isinstance(first, dict)
        and all(isinstance(row, dict) and row.keys() == first.keys() for row in rows)
    )


def _by_field(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    same, each = {}, {}
    for name, first in rows[0].items():
        column = [row[name] for row in rows]
        if all(one == first and type(one) is type(first) for one in column):
            same[name] = first
        else:
            each[name] = column
    return {"$rows": len(rows), "$same": same, "$each": each}
