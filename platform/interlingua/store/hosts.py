"""The source that a host is opened from: made here, or adopted. Opens nothing."""

from pathlib import Path

from interlingua.store.artifact import Artifact

ADOPTED = "adopted"
GGUF_SUFFIX = ".gguf"
CONVERTED_FOLDER = "model"  # of an adopted GGUF file: what was made of it


def opened_from(host: Artifact) -> tuple[str, str | None]:
    """The folder or hub id that a host is opened from, and its revision."""
    if host.record.kind != ADOPTED:
        return str(host.path), None  # made here: its folder is the model, and has no revisions
    if is_gguf(host.record.spec["source"]):
        return str(host.path / CONVERTED_FOLDER), None
    return host.record.spec["source"], host.record.spec["revision"]


def is_gguf(source: str) -> bool:
    """True where a source names a GGUF file."""
    return Path(source).suffix == GGUF_SUFFIX
