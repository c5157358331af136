"""One JSON text per value, so that equal specs have equal fingerprints. Knows no spec and no hash.

Types are matched exactly: a subclass (numpy.float64 is a float) may print differently elsewhere.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

TYPE_KEY = "__type__"

ALLOWED = "a frozen dataclass, Enum, tuple, list, Mapping, frozenset, str, int, float, bool, None"


def canonical_json(value: object) -> str:
    """The value as JSON with sorted keys and no whitespace; raises on what has no stable form.

    `canonical_json(Replace())` is `{"__type__":"Replace"}`: the class counts, and so a rename.
    """
    return json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def jsonable(value: object) -> object:
    """The value in dicts, lists and scalars; an error names the path of what has no stable form."""
    return _encoded(value, type(value).__name__)


def _encoded(value: object, path: str) -> object:
    # By value: to rename a member of an Enum changes no fingerprint, to rename a dataclass does.
    if isinstance(value, Enum):
        return _encoded(value.value, f"{path}.value")
    # Exact types, so that True is no 1; 1 and 1.0 stay apart, too.
    if value is None or type(value) in (str, int, bool):
        return value
    if type(value) is float:
        return _finite(value, path)
    if is_dataclass(value) and not isinstance(value, type):
        return _encoded_dataclass(value, path)
    if isinstance(value, Mapping):
        return _encoded_mapping(value, path)
    if isinstance(value, tuple | list):
        return [_encoded(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, frozenset):
        return _sorted_set(value, path)
    raise TypeError(f"{path} is {value!r} ({type(value).__name__}); it must be {ALLOWED}")


def _finite(value: float, path: str) -> float:
    # JSON has no NaN, and a NaN is unequal to itself: a spec with one would never match.
    if not math.isfinite(value):
        raise ValueError(f"{path} is {value!r}; it must be finite")
    return value


def _encoded_dataclass(value: object, path: str) -> dict[str, object]:
    cls = type(value)
    if not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"{path} is a {cls.__name__}, which is not frozen; use frozen=True")
    encoded: dict[str, object] = {TYPE_KEY: cls.__name__}
    for field in fields(value):  # type: ignore[arg-type]
        encoded[field.name] = _encoded(getattr(value, field.name), f"{path}.{field.name}")
    return encoded


def _encoded_mapping(value: Mapping[object, object], path: str) -> dict[str, object]:
    encoded: dict[str, object] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise TypeError(f"{path} has the key {key!r} ({type(key).__name__}); keys must be str")
        if key == TYPE_KEY:
            raise ValueError(f"{path} has the key {key!r}, which marks dataclasses; rename it")
        encoded[key] = _encoded(item, f"{path}[{key!r}]")
    return encoded


def _sorted_set(value: frozenset[object], path: str) -> list[object]:
    # A set of strings has another order in every process.
    encoded = [_encoded(item, f"{path}{{{item!r}}}") for item in value]
    kinds = {type(item) for item in encoded}
    # 1 and 1.0 are one item of a set, and which of them is there depends on the order.
    if len(kinds) > 1 or not kinds <= {str, int, float}:
        raise TypeError(f"{path} is {value!r}; a frozenset must be all str, all int or all float")
    return sorted(encoded)  # type: ignore[type-var]
