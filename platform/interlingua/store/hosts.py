"""The source that a host is opened from: made here, or adopted. Opens nothing."""

from interlingua.store.artifact import Artifact

ADOPTED = "adopted"


def opened_from(host: Artifact) -> tuple[str, str | None]:
    """The folder or hub id that a host is opened from, and its revision."""
    if host.record.kind == ADOPTED:
        return host.record.spec["source"], host.record.spec["revision"]
    return str(host.path), None  # made here: its folder is the model, and has no revisions
