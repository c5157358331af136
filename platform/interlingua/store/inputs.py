"""The inputs of a stage, as a type: a NamedTuple of members, of mappings of them, of such tuples.

One type holds stages while a graph is made, and their artifacts when the stage runs; this module
knows neither. So whoever makes a stage and whoever runs it are checked against the same fields.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

# A stage while a graph is made, its artifact when the stage runs.
Member = TypeVar("Member")


def members(inputs: Any) -> dict[str, Any]:
    """Every member by its path, `trunk` or `hosts.gpt2-medium.rows`; None is no member."""
    found: dict[str, Any] = {}
    # setdefault takes a path and a member; what `_mapped` makes of its results is not needed.
    _mapped(inputs, found.setdefault, "")
    return found


def with_members(inputs: Any, found: Mapping[str, Any]) -> Any:
    """The same shape with other members: those of these paths."""
    return _mapped(inputs, lambda path, _: found[path], "")


def _mapped(inputs: Any, member: Callable[[str, Any], Any], path: str) -> Any:
    if inputs is None:
        return None
    if isinstance(inputs, Mapping):
        return {name: _mapped(part, member, _below(path, name)) for name, part in inputs.items()}
    if isinstance(inputs, tuple):
        fields = inputs._fields  # type: ignore[attr-defined]
        parts = zip(fields, inputs, strict=True)
        return type(inputs)(*(_mapped(part, member, _below(path, name)) for name, part in parts))
    return member(path, inputs)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
