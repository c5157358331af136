"""The folder that a host is opened from: made here, or adopted. Opens nothing."""

from pathlib import Path

from interlingua.store.artifact import Artifact, input_folder

ADOPTED, FETCHED = "adopted", "fetched"
GGUF_SUFFIX = ".gguf"
MODEL_FOLDER = "model"  # of what was fetched, or converted from a GGUF file
WEIGHTS = "weights"  # the input of an adopted host whose files were fetched


def opened_from(host: Artifact) -> tuple[str, str | None]:
    """The folder that a host is opened from, and the commit that its files are of, if of one."""
    if host.record.kind != ADOPTED:
        return str(host.path), None  # made here: its folder is the model
    source, revision = host.record.spec["source"], host.record.spec["revision"]
    if revision is not None:
        return str(input_folder(host, WEIGHTS) / MODEL_FOLDER), revision
    return (str(host.path / MODEL_FOLDER) if is_gguf(source) else source), None


def is_gguf(source: str) -> bool:
    """True where a source names a GGUF file."""
    return Path(source).suffix == GGUF_SUFFIX
