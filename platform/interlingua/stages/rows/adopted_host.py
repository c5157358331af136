"""Stage `adopted`: a host that was not made here, by its place and what its files hash to."""

from collections.abc import Mapping
from pathlib import Path

from interlingua.specs.extraction import AdoptedHostSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.integrity import OUTSIDE_NAME
from interlingua.store.model_files import files_sha256, model_hashes


def adopted_stage(host: AdoptedHostSpec) -> Stage:
    """A host that was not made here."""
    return Stage(kind="adopted", label=host.tag, spec=host, run=run, inputs={}, revision=2)


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
    if spec.files_sha256 is not None:
        folder = Path(spec.source)
        # The files stay where they are: listed here, they are checked like files of the artifact.
        outside = [str(folder / name) for name in model_hashes(folder)]
        (out / OUTSIDE_NAME).write_text("\n".join(outside))
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
