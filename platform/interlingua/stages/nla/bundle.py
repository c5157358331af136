"""Stage `bundle`: trunk, pair and maps brought together in one folder that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlingua.specs.training import BundleSpec
from interlingua.stages.nla.inputs import BundleInputs
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage


def bundle_stage(spec: BundleSpec, inputs: BundleInputs[Stage], labels: Sequence[str]) -> Stage:
    """Everything that is needed to use the pair, in one folder."""
    return Stage(
        kind="bundle",
        label="-".join(labels),
        spec=spec,
        run=run,
        inputs=inputs,
        revision=4,
        seals=True,
    )


def run(
    spec: BundleSpec, inputs: BundleInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Write the bundle, open it and compare; the metrics are its size."""
    from interlingua.stages.nla.bundle_files import write_bundle

    write_bundle(spec, inputs, out)
    files = [path for path in out.rglob("*") if path.is_file()]
    return {"num_files": len(files), "num_bytes": sum(path.stat().st_size for path in files)}
