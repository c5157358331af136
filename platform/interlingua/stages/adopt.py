"""Stage `adopted`: a host that was not made here, by its place and what its files hash to."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from interlingua.specs.extraction import AdoptedHostSpec
from interlingua.stages.backend import Context
from interlingua.store.artifact import Artifact

# What a model's answers depend on; readmes and licences may change.
HASHED = ("*.json", "*.safetensors", "*.bin", "*.model", "*.jinja")
ADOPTED = "adopted"


def run(
    spec: AdoptedHostSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, float]:
    """Check that the files are still those that were named; nothing is copied."""
    if spec.files_sha256 is not None and (found := files_sha256(Path(spec.source))) != (
        spec.files_sha256
    ):
        raise ValueError(
            f"the files of {spec.source} hash to {found[:12]}, not to {spec.files_sha256[:12]}: "
            "the host has changed since it was named; name it again"
        )
    return {}


def adopted_spec(tag: str, source: str, revision: str | None) -> AdoptedHostSpec:
    """A local folder with the hash of its files, or a hub id with its revision."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        resolved = str(folder.resolve())
        return AdoptedHostSpec(
            tag=tag, source=resolved, revision=None, files_sha256=files_sha256(folder)
        )
    if folder.is_absolute() or source.startswith("."):
        raise ValueError(f"{source} is no folder; a host is a local folder or a hub id")
    return AdoptedHostSpec(tag=tag, source=source, revision=revision, files_sha256=None)


def files_sha256(folder: Path) -> str:
    """One hash of all files that a model's answers depend on."""
    digest = hashlib.sha256()
    paths = {path for pattern in HASHED for path in folder.glob(pattern)}
    if not (folder / "config.json").exists():
        raise ValueError(f"{folder} has no config.json; it is not a saved Hugging Face model")
    for path in sorted(paths):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def opened_from(host: Artifact) -> tuple[str, str | None]:
    """Where a host is opened from, and at which revision."""
    if host.record.kind == ADOPTED:
        return host.record.spec["source"], host.record.spec["revision"]
    return str(host.path), None
