"""Interlingua: natural language autoencoders, from activations to text and back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlingua.models.bundle.nla import NLA

__all__ = ["NLA"]


def __getattr__(name: str) -> Any:
    """Import the NLA when it is asked for: a command line needs no torch to print its help."""
    if name == "NLA":
        from interlingua.models.bundle.nla import NLA

        return NLA
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
