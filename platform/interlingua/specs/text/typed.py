"""Reads one value from text by its annotation. Knows neither paths nor specs.

A union of dataclasses is a choice of variants: each is named by its class in snake_case, less a
trailing "Spec" (`LowRank` and `LowRankSpec` are both `low_rank`); None is named `none`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin


def value_of(text: str, annotation: Any) -> object:
    """The text as a value of the annotated type; a ValueError where it is none of that type.

    `value_of("1e-3", float | None)` is 0.001, `value_of("none", float | None)` None.
    """
    for member in sorted(members(annotation), key=_breadth):
        try:
            return _read(text, member)
        except ValueError:
            continue  # the next, wider member of the union; the raise below if there is none
    raise ValueError(f"{text!r}; it must be {type_name(annotation)}")


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the one type that it is."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def variants(annotation: Any) -> dict[str, type]:
    """The dataclasses among the members of the annotation, by their names."""
    return {variant_name(m): m for m in members(annotation) if is_dataclass_type(m)}


def variant_name(cls: type) -> str:
    """The class name in snake_case, less a trailing Spec."""
    name = cls.__name__.removesuffix("Spec")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_dataclass_type(annotation: Any) -> bool:
    """True for a dataclass, not for an instance of one."""
    return isinstance(annotation, type) and is_dataclass(annotation)


def type_name(annotation: Any) -> str:
    """The texts that may be written for the annotated type."""
    return " | ".join(_member_name(member) for member in members(annotation))


def _member_name(member: Any) -> str:
    if member is NoneType:
        return "none"
    if member is bool:
        return "true | false"
    if get_origin(member) is Literal:
        return " | ".join(map(str, get_args(member)))
    if get_origin(member) is tuple:
        inner = ", ".join("..." if a is Ellipsis else type_name(a) for a in get_args(member))
        return f"tuple[{inner}]"
    if is_dataclass_type(member):
        return variant_name(member)
    if isinstance(member, type) and issubclass(member, Enum):
        return " | ".join(str(item.value) for item in member)
    return member.__name__ if isinstance(member, type) else str(member)


def _breadth(member: Any) -> int:
    """Narrow types first: `int | str` reads "12" as a number, `str | None` reads "none" as None."""
    return {bool: 1, int: 2, float: 3, tuple: 4, str: 5}.get(get_origin(member) or member, 0)


def _read(text: str, member: Any) -> object:
    if get_origin(member) is tuple:
        return _tuple(text, get_args(member))
    if get_origin(member) is Literal:
        return _choice(text, {str(choice): choice for choice in get_args(member)})
    if isinstance(member, type) and issubclass(member, Enum):
        return _choice(text, {str(item.value): item for item in member})
    return _READERS.get(member, _unreadable)(text)


def _tuple(text: str, args: tuple[Any, ...]) -> tuple[object, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    kinds = args[:1] * len(parts) if args[-1:] == (Ellipsis,) else args
    return tuple(value_of(part, kind) for part, kind in zip(parts, kinds, strict=True))


def _choice(text: str, choices: dict[str, object]) -> object:
    if text not in choices:
        raise ValueError(text)
    return choices[text]


def _finite(text: str) -> float:
    number = float(text)
    # float() also reads "nan" and "inf", which have no fingerprint.
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _unreadable(text: str) -> object:
    raise ValueError(text)


_READERS: dict[Any, Callable[[str], object]] = {
    NoneType: lambda text: _choice(text, {"none": None}),
    bool: lambda text: _choice(text, {"true": True, "false": False}),
    int: int,
    float: _finite,
    str: str,
}
