"""Stage `adopted`: a model that was not made here, by its place and what its files hash to.

Behind it nothing is downloaded or converted: a folder is as it was named, a hub id is in the cache,
a GGUF file has become a folder.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlingua.specs.models import HubHost
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.hosts import CONVERTED_FOLDER, is_gguf
from interlingua.store.integrity import OUTSIDE_NAME, sha256_of
from interlingua.store.model_files import files_sha256, model_hashes

COMMIT_DIGITS = 40


def adopted_stage(host: HubHost) -> Stage:
    """A host that was not made here."""
    return Stage(kind="adopted", label=host.tag, spec=host, run=run, inputs={}, revision=2)


def run(
    spec: HubHost, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fetch, convert, or check that the files are still those that were named."""
    if is_gguf(spec.source):
        from interlingua.models.hosts.gguf import convert_gguf

        _check_unchanged(spec, sha256_of(Path(spec.source)))
        # Of an attempt that ended before its time.
        shutil.rmtree(out / CONVERTED_FOLDER, ignore_errors=True)
        convert_gguf(Path(spec.source), out / CONVERTED_FOLDER)
        return {}
    if spec.revision is not None:
        from interlingua.models.hosts.hub import fetched_model

        # The cache has a folder for every commit, named after it.
        return {"commit": fetched_model(spec.source, spec.revision).name}
    folder = Path(spec.source)
    _check_unchanged(spec, files_sha256(folder))
    # The files stay where they are: listed here, they are checked like files of the artifact.
    outside = [str(folder / name) for name in model_hashes(folder)]
    (out / OUTSIDE_NAME).write_text("\n".join(outside))
    return {}


def adopted_spec(tag: str, source: str, revision: str | None) -> HubHost:
    """A local folder or GGUF file with its hash, or a hub id with its commit; needs no network."""
    path = Path(source).expanduser()
    if path.is_dir():
        return HubHost(tag=tag, source=str(path.resolve()), files_sha256=files_sha256(path))
    if is_gguf(source) and path.is_file():
        return HubHost(tag=tag, source=str(path.resolve()), files_sha256=sha256_of(path))
    if is_gguf(source) or path.is_absolute() or source.startswith((".", "~")):
        raise ValueError(
            f"{source} is not there; a host is a local folder, a GGUF file or a hub id"
        )
    # A name would not do: another model under it would have the same fingerprint.
    if revision is None or not _is_commit(revision):
        raise ValueError(
            f"the revision of the hub id {source!r} is {revision!r}; name the commit, 40 hex "
            "digits, because branches and tags move"
        )
    return HubHost(tag=tag, source=source, revision=revision)


def pinned_host(host: HubHost) -> HubHost:
    """The host with all that identifies it; what it names already is checked when it is run."""
    from interlingua.models.hosts.sizes import num_blocks_of

    found = adopted_spec(host.tag, host.source, host.revision)
    return replace(
        found,
        files_sha256=host.files_sha256 or found.files_sha256,
        num_blocks=host.num_blocks or num_blocks_of(found),
    )


def _check_unchanged(spec: HubHost, found: str) -> None:
    if spec.files_sha256 is None:
        raise ValueError(
            f"hosts.{spec.tag}.source.files_sha256 is none: pin the recipe, which takes it of "
            f"{spec.source}"
        )
    if found != spec.files_sha256:
        raise ValueError(
            f"{spec.source} hashes to {found[:12]}, not to {spec.files_sha256[:12]}: "
            "the host has changed since it was named; name it again"
        )


def _is_commit(revision: str) -> bool:
    return len(revision) == COMMIT_DIGITS and set(revision) <= set("0123456789abcdef")
