"""Stage `room`: what an oracle that knows the true facts explains of one host's activations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.splits import Split
from interlingua.specs.world import RoomSpec
from interlingua.stages.backend import Context
from interlingua.stages.rows import PooledRows
from interlingua.store.artifact import Artifact
from interlingua.store.passages import PASSAGES_NAME, read_passages
from interlingua.store.splits import SplitAccess, recorded_access
from interlingua.world.oracle import Oracle, Truth


def run(
    spec: RoomSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the oracle on split `fit` and score it on `dev`."""
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        fit = PooledRows(inputs["fit"], spec.block_index, {Split.FIT}, access)
        dev = PooledRows(inputs["dev"], spec.block_index, {Split.DEV}, access)
        fit_ids, dev_ids = fit.finite_ids(), dev.finite_ids()
        oracle = Oracle(
            _truth(fit_ids, Split.FIT, inputs["passages"], access),
            fit.vectors(fit_ids),
            _truth(dev_ids, Split.DEV, inputs["passages"], access),
            dev.vectors(dev_ids),
        )
    return oracle.metrics(spec.seed)


def _truth(ids: list[str], split: Split, passages: Artifact, access: SplitAccess) -> Truth:
    """The facts of these passages, in their order."""
    read = read_passages(passages.path / PASSAGES_NAME, {split}, access)
    facts = {passage.passage_id: passage.facts for passage in read}
    return [facts[passage_id] for passage_id in ids]
