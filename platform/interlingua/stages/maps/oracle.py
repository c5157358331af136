"""Stage `oracle`: what an oracle that knows the true facts explains of one host's activations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.splits import Split
from interlingua.specs.world import OracleSpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import Key
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess, recorded_access
from interlingua.world.oracle import Oracle, Truth


def run(
    spec: OracleSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the oracle on split `fit` and score it on `dev`."""
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        fit = KeyedRows(inputs["fit"], spec.block_index, {Split.FIT}, access)
        dev = KeyedRows(inputs["dev"], spec.block_index, {Split.DEV}, access)
        fit_keys, dev_keys = fit.finite_keys(), dev.finite_keys()
        oracle = Oracle(
            _truth(fit_keys, Split.FIT, inputs["passages"], access),
            fit.vectors(fit_keys),
            _truth(dev_keys, Split.DEV, inputs["passages"], access),
            dev.vectors(dev_keys),
        )
    return oracle.metrics(spec.seed)


def _truth(keys: list[Key], split: Split, passages: Artifact, access: SplitAccess) -> Truth:
    """The facts of these rows' passages, in their order."""
    read = read_passages(passages.path / PASSAGES_NAME, {split}, access)
    facts = {passage.passage_id: passage.facts for passage in read}
    return [facts[passage_id] for passage_id, _ in keys]
