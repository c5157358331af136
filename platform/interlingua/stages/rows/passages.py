"""Stage `passages`: the texts of a world, each with its id, split, facts and mentions."""

from collections.abc import Mapping
from pathlib import Path

from interlingua.specs.world import PassagesSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage


def passages_stage(spec: PassagesSpec) -> Stage:
    """The texts of a world."""
    return Stage(kind="passages", label="world", spec=spec, run=run, inputs={}, revision=1)


def run(
    spec: PassagesSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, float]:
    """Write the passages; the metrics count them by split."""
    from interlingua.stages.rows.world_passages import world_passages
    from interlingua.store.rows.passages import PASSAGES_NAME, count_by_split, write_passages

    path = out / PASSAGES_NAME
    write_passages(path, world_passages(spec), split_spec=spec.split)
    return {f"passages/{split}": count for split, count in count_by_split(path).items()}
