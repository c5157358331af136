"""Stage `oracle`: the share of one host's activations that the true facts explain linearly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.evaluation import OracleSpec
from interlingua.specs.splits import Split
from interlingua.stages.maps.encoder import HostRows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class OracleInputs(NamedTuple, Generic[Member]):
    """A host's rows, and the passages whose facts are known."""

    rows: HostRows[Member]
    passages: Member


def oracle_stage(rows: HostRows[Stage], passages: Stage, *, seed: int) -> Stage:
    """The oracle of one host."""
    read = rows.fit.spec
    return Stage(
        kind="oracle",
        label=read.host_tag,
        spec=OracleSpec(seed=seed, block_index=read.block_indices[0]),
        run=run,
        inputs=OracleInputs(rows, passages),
        revision=4,
    )


def run(
    spec: OracleSpec, inputs: OracleInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the oracle on split `fit` and score it on `dev`."""
    from interlingua.probes.oracle import Oracle
    from interlingua.sources.source import truth_of
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
    from interlingua.store.rows.shards import SPAN
    from interlingua.store.rows.splits import recorded_access

    truth, path = truth_of(inputs.passages), inputs.passages.path / PASSAGES_NAME
    assert truth is not None  # the graph has no oracle of other corpora
    known, vectors = [], []
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        for split, artifact in ((Split.FIT, inputs.rows.fit), (Split.DEV, inputs.rows.dev)):
            rows = KeyedRows(artifact, spec.block_index, {split}, access)
            # Joined by id: rows are in the order of the shards, and some passages have none.
            passages = {one.passage_id: one for one in read_passages(path, {split}, access)}
            keys, is_span = rows.finite_keys(), rows.header.read_mode == SPAN
            known.append([truth.of_row(passages[key[0]], key[1], is_span=is_span) for key in keys])
            vectors.append(rows.vectors(keys))
    (fit, dev), (fit_ND, dev_ND) = known, vectors
    return Oracle(truth, fit, fit_ND, dev, dev_ND).metrics(spec.seed)
