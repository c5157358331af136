"""A host that was not made here, pinned to its files."""

from interlingua.sources.pinned import pinned_host
from interlingua.specs.models import HubHost


def local_host(tag: str, source: str, revision: str | None = None) -> HubHost:
    """The host as a recipe would name it."""
    return pinned_host(HubHost(tag=tag, source=source, revision=revision), needs_depth=False)
