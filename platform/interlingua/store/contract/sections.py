"""Takes typed values out of a YAML mapping and keeps what nobody took. Knows no schema."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")
EnumT = TypeVar("EnumT", bound=StrEnum)


class Section:
    """One mapping of a file. A key is taken by its name and its aliases; null means absent."""

    def __init__(self, tree: Mapping[str, object], path: str = "") -> None:
        self._left = dict(tree)
        self._path = path
        self._inner: dict[str, Section] = {}

    def has(self, *names: str) -> bool:
        """True where any of the keys is present and has not been taken."""
        return any(name in self._left for name in names)

    def pop(self, *names: str) -> object:
        """The value under the one key of these names that is set; None if there is none."""
        # All aliases are taken: one that stayed would be written back beside our own spelling.
        found = [self._left.pop(name) for name in names if name in self._left]
        stated = [value for value in found if value is not None]
        if any(value != stated[0] for value in stated):
            raise ValueError(f"{self.at(names[0])}: {' and '.join(names)} differ: {stated}")
        return stated[0] if stated else None

    def take(self, kind: type[T], *names: str) -> T | None:
        """The value, of exactly this type, or None."""
        value = self.pop(*names)
        if value is None:
            return None
        if type(value) is not kind:  # exact, because True is an int
            raise ValueError(f"{self.at(names[0])} is {value!r}; it must be {kind.__name__}")
        return value

    def need(self, kind: type[T], *names: str) -> T:
        """The value, of exactly this type; its absence is an error."""
        value = self.take(kind, *names)
        if value is None:
            raise ValueError(f"{self.at(names[0])} is missing")
        return value

    def number(self, *names: str) -> float | None:
        """The value as a float, or None."""
        value = self.pop(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{self.at(names[0])} is {value!r}; it must be a number")
        return float(value)

    def choice(self, kind: type[EnumT], name: str) -> EnumT:
        """The value as a member of the enum."""
        text = self.need(str, name)
        if text not in list(kind):
            raise ValueError(f"{self.at(name)} is {text!r}; allowed: {', '.join(kind)}")
        return kind(text)

    def section(self, *names: str) -> "Section":
        """The inner mapping (empty if absent); what is left of it is kept under the first name."""
        value = self.pop(*names)
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"{self.at(names[0])} is {value!r}; it must be a mapping")
        self._inner[names[0]] = Section(value or {}, self.at(names[0]))
        return self._inner[names[0]]

    def rest(self) -> dict[str, object]:
        """The values that nobody took, nested as they were."""
        inner = {name: section.rest() for name, section in self._inner.items()}
        return {**self._left, **{name: left for name, left in inner.items() if left}}

    def at(self, name: str) -> str:
        """The path of a key from the root of the file."""
        return f"{self._path}.{name}".lstrip(".")


def merged(known: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object]:
    """Both mappings in one, at every depth; a value in both is an error."""
    result = dict(known)
    for name, value in other.items():
        here = result.get(name)
        if isinstance(here, Mapping) and isinstance(value, Mapping):
            result[name] = merged(here, value)
        elif name in result:
            raise ValueError(f"{name!r} is both a known key and among the other keys")
        else:
            result[name] = value
    return result
