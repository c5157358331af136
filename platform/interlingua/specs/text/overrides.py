"""Typed overrides of nested frozen dataclasses: `train.steps=200`. Knows no recipe and no argparse.

- Overrides are collected before anything is built, so that fields which must agree can change
  together; of two values for one path the later wins.
- An item of a tuple is addressed by its `tag` or its index: `hosts.gpt2.lr=1e-3`, `hosts.0.lr=1`.
  Of a single item the tag may be left out: `rl.num_steps=20`. Where an item needs nothing but its
  tag, another tag adds one: `placement.extraction.hosts.gpt2.device=cuda:1`.
- A variant (a union of dataclasses, perhaps with None) is set by name and then by its fields:
  `affine=low_rank`, `affine.rank=64`, `affine=none`. Naming the variant it is keeps its fields.
"""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from interlingua.specs.text.typed import (
    is_dataclass_type,
    members,
    type_name,
    value_of,
    variant_name,
    variants,
)

SpecT = TypeVar("SpecT")


def with_overrides(spec: SpecT, overrides: Iterable[str]) -> SpecT:
    """A copy of the spec with every `path=value` applied and validated.

    `with_overrides(recipe, ["rl.num_steps=20", "av.lora=none"])`
    """
    given = [_parsed(override) for override in overrides]
    known = tuple(path for path, _, _ in list_paths(spec))
    return cast(SpecT, _built(type(spec), spec, given, _Place("", known)))


def list_paths(spec: object) -> list[tuple[str, str, object]]:
    """Every path that can be set, with what may be written there and its present value."""
    return list(_paths(spec, ""))


@dataclass(frozen=True, slots=True)
class _Override:
    """The part of the path still to be walked, the value as text, and the whole as it was given."""

    rest: tuple[str, ...]
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class _Place:
    """The path of a value in the tree, and every path of the whole tree, for error messages."""

    path: str
    known: tuple[str, ...]

    def child(self, name: str) -> "_Place":
        return replace(self, path=f"{self.path}.{name}".lstrip("."))

    def unknown(self, name: str, names: Iterable[str]) -> ValueError:
        path = self.child(name).path
        candidates = list(dict.fromkeys([*self.known, *(self.child(n).path for n in names)]))
        same_leaf = [c for c in candidates if c.rpartition(".")[2] == path.rpartition(".")[2]]
        near = list(dict.fromkeys([*get_close_matches(path, candidates, n=5), *same_leaf[:5]]))
        hint = (
            f"did you mean {' or '.join(near)}"
            if near
            else f"there are: {', '.join(candidates[:20])}"
        )
        return ValueError(f"unknown setting {path}; {hint}")


def _parsed(override: str) -> _Override:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"{override!r} is no override; write path.to.field=value")
    return _Override(tuple(path.strip().split(".")), text, override)


def _by_first(overrides: list[_Override]) -> dict[str, list[_Override]]:
    """The overrides by the next part of their path, in the order given, less that part."""
    groups: dict[str, list[_Override]] = {}
    for override in overrides:
        first, *rest = override.rest
        groups.setdefault(first, []).append(replace(override, rest=tuple(rest)))
    return groups


def _built(cls: type, current: object, overrides: list[_Override], place: _Place) -> object:
    """The current value (MISSING: a new one) of the dataclass with the overrides applied."""
    settable = _settable(cls)
    hints = get_type_hints(cls)
    changes: dict[str, object] = {}
    for name, group in _by_first(overrides).items():
        if name not in settable:
            raise place.unknown(name, settable)
        before = _default(settable[name]) if current is MISSING else getattr(current, name)
        changes[name] = _value(hints[name], before, group, place.child(name))
    if current is MISSING:
        _check_complete(settable, changes, place)
    # All changes at once: one after the other, the first of two that agree would be refused.
    try:
        return cls(**changes) if current is MISSING else replace(cast(Any, current), **changes)
    except ValueError as error:
        given = " ".join(override.source for override in overrides) or place.path
        raise ValueError(f"{given}: {error}") from error


def _value(annotation: Any, current: object, group: list[_Override], place: _Place) -> object:
    """The value of one field or item: named by the last bare override, then changed below."""
    named = [override for override in group if not override.rest]
    below = [override for override in group if override.rest]
    if named:
        current = _named(annotation, current, named[-1].text, place)
    if current is MISSING and is_dataclass_type(annotation):
        current = annotation
    if isinstance(current, type):
        return _built(current, MISSING, below, place)
    if not below:
        return current
    if is_dataclass(current):
        return _built(type(current), current, below, place)
    if isinstance(current, tuple):
        return _with_items(annotation, current, below, place)
    if variants(annotation):
        names = " | ".join(variants(annotation))
        raise ValueError(f"{below[0].source}: {place.path} is not chosen; set {place.path}={names}")
    raise place.unknown(below[0].rest[0], ())


def _named(annotation: Any, current: object, text: str, place: _Place) -> object:
    """The value that the text names, or the class of a variant that is still to be built."""
    choices = variants(annotation)
    if is_dataclass_type(annotation):
        raise ValueError(f"{place.path}={text}: {place.path} is set by its fields, not whole")
    if text in choices:
        # A variant that is named as it is keeps its fields; another one starts from its defaults.
        return current if type(current) is choices[text] else choices[text]
    try:
        return value_of(text, annotation)
    except ValueError as error:
        raise ValueError(f"{place.path} is {error}") from error


def _with_items(
    annotation: Any, items: tuple[object, ...], overrides: list[_Override], place: _Place
) -> tuple[object, ...]:
    items = _with_new_tags(annotation, items, overrides)
    names = _item_names(items)
    changed = list(items)
    addressed = [_by_name(override, items, names) for override in overrides]
    for name, group in _by_first(addressed).items():
        if name not in names:
            raise place.unknown(name, names)
        position = names.index(name)
        item_type = _item_type(annotation, position)
        changed[position] = _value(item_type, items[position], group, place.child(name))
    return tuple(changed)


def _with_new_tags(
    annotation: Any, items: tuple[object, ...], overrides: list[_Override]
) -> tuple[object, ...]:
    """The items, and one for every other tag that is set, where nothing else is needed for it."""
    item_type = _item_type(annotation, 0)
    if not (is_dataclass_type(item_type) and _needed(_settable(item_type)) == ["tag"]):
        return items
    firsts = dict.fromkeys(override.rest[0] for override in overrides)
    indices = map(str, range(len(items)))
    # A field's name is not a new tag: it may stand for the tag of the only item, or be a mistake.
    known = {*_item_names(items), *indices, *_settable(item_type)}
    return (*items, *(item_type(tag=first) for first in firsts if first not in known))


def _by_name(override: _Override, items: tuple[object, ...], names: list[str]) -> _Override:
    """The override with its item by name, whichever way it was addressed.

    Else two overrides of one item would each begin from it as it was, and one of them be lost.
    """
    first, *rest = override.rest
    if first in names:
        return override
    if (position := _index(first, len(items))) is not None:
        return replace(override, rest=(names[position], *rest))
    if len(items) == 1 and _has_tag(items[0]) and first in _settable(type(items[0])):
        return replace(override, rest=(*names, first, *rest))
    return override


def _index(name: str, count: int) -> int | None:
    return int(name) if name.isdecimal() and int(name) < count else None


def _item_names(items: tuple[object, ...]) -> list[str]:
    """The tags of the items where every item has one of its own, else their indices."""
    tags = [item.tag for item in items if _has_tag(item)]  # type: ignore[attr-defined]
    # A tag that two items share addresses neither: then all go by index.
    if len(set(tags)) == len(items):
        return [str(tag) for tag in tags]
    return [str(index) for index in range(len(items))]


def _has_tag(item: object) -> bool:
    # Also where it is a property: the tag of what the item is made of.
    return is_dataclass(item) and hasattr(item, "tag")


def _item_type(annotation: Any, position: int) -> Any:
    # `tuple[X, ...]` has one type for all positions, `tuple[X, Y]` one for each.
    args = next(get_args(m) for m in members(annotation) if get_origin(m) is tuple)
    return args[0] if args[-1] is Ellipsis else args[position]


def _item_variants(annotation: Any) -> bool:
    """True for a tuple of dataclasses."""
    tuples = [m for m in members(annotation) if get_origin(m) is tuple]
    return any(variants(arg) for m in tuples for arg in get_args(m))


def _settable(cls: type) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(cast(Any, cls)) if field.init}


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _needed(settable: dict[str, Field[Any]]) -> list[str]:
    return [name for name, field in settable.items() if _default(field) is MISSING]


def _check_complete(
    settable: dict[str, Field[Any]], changes: dict[str, object], place: _Place
) -> None:
    missing = [place.child(name).path for name in _needed(settable) if name not in changes]
    if missing:
        raise ValueError(f"{place.path} also needs {', '.join(missing)}; set them too")


def _paths(value: object, prefix: str) -> Iterator[tuple[str, str, object]]:
    hints = get_type_hints(type(value))
    for name in _settable(type(value)):
        yield from _field_paths(hints[name], getattr(value, name), f"{prefix}{name}")


def _field_paths(annotation: Any, value: object, path: str) -> Iterator[tuple[str, str, object]]:
    if _item_variants(annotation) and isinstance(value, tuple) and value:
        for position, name in enumerate(_item_names(value)):
            yield from _field_paths(
                _item_type(annotation, position), value[position], f"{path}.{name}"
            )
        return
    is_variant = is_dataclass(value) and not is_dataclass_type(annotation)
    if is_variant or not is_dataclass(value):
        shown = variant_name(type(value)) if is_variant else value
        yield path, type_name(annotation), shown
    if is_dataclass(value):
        yield from _paths(value, f"{path}.")
