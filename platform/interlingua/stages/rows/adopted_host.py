"""Stage `adopted`: a model that was not made here, by its place and what its files hash to.

Behind it nothing is downloaded or converted: a folder is as it was named, a hub id has been fetched
into the root (stages/rows/fetched_model.py), a GGUF file has become a folder.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.models import HubHost
from interlingua.stages.rows.fetched_model import fetched_stage
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.hosts import ADOPTED, MODEL_FOLDER, is_gguf
from interlingua.store.inputs import Member
from interlingua.store.integrity import OUTSIDE_NAME, sha256_of
from interlingua.store.model_files import files_sha256, model_hashes


class AdoptedInputs(NamedTuple, Generic[Member]):
    """The files of a hub id, which several hosts may share; None of what is here already."""

    weights: Member | None


def adopted_stage(host: HubHost) -> Stage:
    """A host that was not made here."""
    weights = None if host.revision is None else fetched_stage(host.source, host.revision)
    inputs = AdoptedInputs(weights)
    return Stage(kind=ADOPTED, label=host.tag, spec=host, run=run, inputs=inputs, revision=2)


def run(
    spec: HubHost, inputs: AdoptedInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Convert, or check that the files are those that were named."""
    if is_gguf(spec.source):
        _check_depth(spec, _converted(spec, out))
        return {}
    if inputs.weights is not None:
        _check_depth(spec, inputs.weights.path / MODEL_FOLDER)
        return {"commit": spec.revision}
    folder = Path(spec.source)
    _check_unchanged(spec, files_sha256(folder))
    _check_depth(spec, folder)
    # The files stay where they are: listed here, they are checked like files of the artifact.
    outside = [str(folder / name) for name in model_hashes(folder)]
    (out / OUTSIDE_NAME).write_text("\n".join(outside))
    return {}


def _converted(spec: HubHost, out: Path) -> Path:
    """What a GGUF file became, within the artifact: the file itself is not needed again."""
    from interlingua.models.hosts.gguf import convert_gguf

    path, folder = Path(spec.source), out / MODEL_FOLDER
    if not path.is_file():
        raise ValueError(f"{path}, the model of {spec.tag}, is not there")
    _check_unchanged(spec, sha256_of(path))
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that ended before its time
    convert_gguf(path, folder)
    return folder


def _check_unchanged(spec: HubHost, found: str) -> None:
    if spec.files_sha256 is None:
        raise ValueError(
            f"{spec.source}, the model of {spec.tag}, has no files_sha256: pin the recipe, which "
            "takes it"
        )
    if found != spec.files_sha256:
        raise ValueError(
            f"{spec.source} hashes to {found[:12]}, not to {spec.files_sha256[:12]}: "
            "the host has changed since it was named; name it again"
        )


def _check_depth(spec: HubHost, folder: Path) -> None:
    """Raise where the block that is read was counted in another depth."""
    from interlingua.models.hosts.sizes import blocks_in

    found = blocks_in(folder)
    if None not in (spec.num_blocks, found) and spec.num_blocks != found:
        raise ValueError(
            f"hosts.{spec.tag}.source.num_blocks is {spec.num_blocks}, and {spec.source} has "
            f"{found}: set it to none, which counts them, or to {found}"
        )
