"""Reads a spec back from the JSON that a record or a manifest holds. The inverse of `jsonable`."""

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from interlingua.specs.text.canonical import TYPE_KEY
from interlingua.specs.text.typed import is_dataclass_type, members

T = TypeVar("T")


def from_jsonable(cls: type[T], value: object) -> T:
    """The spec of this class; a ValueError where the JSON is of another one.

    `from_jsonable(RlSpec, jsonable(spec)) == spec`
    """
    made = _read(cls, value, cls.__name__)
    assert isinstance(made, cls)
    return made


def _read(annotation: Any, value: object, path: str) -> object:
    for member in members(annotation):
        if _is_of(member, value):
            return _made(member, value, path)
    raise ValueError(f"{path} is {value!r}; it was written by another version: build it again")


def _is_of(member: Any, value: object) -> bool:
    if member is NoneType:
        return value is None
    if is_dataclass_type(member):
        return isinstance(value, Mapping) and value.get(TYPE_KEY) == member.__name__
    if get_origin(member) is tuple:
        return isinstance(value, list | tuple)
    if get_origin(member) is Literal:
        return value in get_args(member)
    if isinstance(member, type) and issubclass(member, Enum):
        return value in [item.value for item in member]
    if member is float:
        # An int in a float field stays one: its fingerprint is that of 2 and not of 2.0.
        return type(value) in (int, float)
    return type(value) is member


def _made(member: Any, value: Any, path: str) -> object:
    if is_dataclass_type(member):
        hints = get_type_hints(member)
        names = {field.name for field in fields(member)}
        # All fields: what a default filled in would be claimed of a run that did not have it.
        if names != value.keys() - {TYPE_KEY}:
            odd = sorted(names ^ (value.keys() - {TYPE_KEY}))
            raise ValueError(f"{path} has other fields ({', '.join(odd)}): build it again")
        return member(**{n: _read(hints[n], value[n], f"{path}.{n}") for n in sorted(names)})
    if get_origin(member) is tuple:
        args = get_args(member)
        kinds = args[:1] * len(value) if args[-1:] == (Ellipsis,) else args
        return tuple(
            _read(kind, item, f"{path}[{index}]")
            for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if isinstance(member, type) and issubclass(member, Enum):
        return member(value)
    return value
