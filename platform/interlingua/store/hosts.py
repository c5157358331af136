"""Where a host that stages read is opened from: made here, or adopted. Opens nothing."""

from interlingua.store.artifact import Artifact

ADOPTED = "adopted"


def opened_from(host: Artifact) -> tuple[str, str | None]:
    """Where a host is opened from, and at which revision."""
    if host.record.kind == ADOPTED:
        return host.record.spec["source"], host.record.spec["revision"]
    return str(host.path), None
