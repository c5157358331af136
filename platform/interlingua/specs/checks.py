"""Checks of fields: ValueErrors that name field, value and what is allowed. Knows no spec.

`check_positive(self, num_steps=self.num_steps)`: the owner gives the error the name of its class.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit


def check_positive(owner: object, **values: float) -> None:
    """Raise unless every value is above zero."""
    for name, value in values.items():
        # `not >` and not `<=`, here and below: NaN compares false and is refused as well.
        if not value > 0:
            raise ValueError(f"{_field(owner, name)} is {value!r}; it must be positive")


def check_not_negative(owner: object, **values: float) -> None:
    """Raise unless every value is zero or more."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{_field(owner, name)} is {value!r}; it must be zero or more")


def check_share(owner: object, **values: float) -> None:
    """Raise unless every value lies in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{_field(owner, name)} is {value!r}; it must lie between 0 and 1")


def check_one_of(owner: object, allowed: Iterable[object], **values: object) -> None:
    """Raise unless every value is among the allowed ones."""
    choices = list(allowed)
    for name, value in values.items():
        if value not in choices:
            listed = ", ".join(map(str, choices))
            raise ValueError(f"{_field(owner, name)} is {value!r}; allowed: {listed}")


def check_slug(owner: object, **values: str) -> None:
    """Raise unless every value can stand in a folder name and in a module path."""
    for name, value in values.items():
        if not value or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
            raise ValueError(
                f"{_field(owner, name)} is {value!r}; use letters, digits, '-' and '_' only"
            )


def check_sha256(owner: object, **values: str | None) -> None:
    """Raise unless every value that is there is the 64 hex digits of a SHA-256."""
    for name, digits in values.items():
        if digits is not None and (len(digits) != 64 or not set(digits) <= set("0123456789abcdef")):
            raise ValueError(f"{_field(owner, name)} is {digits!r}; it must be 64 hex digits")


def check_commit(owner: object, **values: str | None) -> None:
    """Raise unless every value that is there is a commit of the hub."""
    for name, value in values.items():
        if value is not None and (len(value) != 40 or not set(value) <= set("0123456789abcdef")):
            raise ValueError(
                f"{_field(owner, name)} is {value!r}; name the commit, 40 hex digits, because "
                "branches and tags move"
            )


def check_url(owner: object, **values: str) -> None:
    """Raise unless every value that is not empty is an address of HTTP that can hold no key.

    A placement is recorded, and so is what stands in it.
    """
    for name, value in values.items():
        found = urlsplit(value)
        if "@" in found.netloc or found.query or found.fragment:
            # Without the value: what is wrong with it may be a key.
            raise ValueError(
                f"{_field(owner, name)} holds a user or a query, which may be a key; leave it out, "
                "and name the variable of the environment that holds the key"
            )
        if value and not (found.scheme in ("http", "https") and found.hostname):
            raise ValueError(
                f"{_field(owner, name)} is {value!r}; it must begin with http:// or https:// and a "
                "host"
            )


def _field(owner: object, name: str) -> str:
    return f"{type(owner).__name__}.{name}"
