"""Stage `familiarity`: how far a host's activations of `fit` are from their mean.

What is further than nearly all of them was never learned from, and its explanation should not be
believed. Measured on `dev`, where nothing should be flagged, and on texts from outside the world.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.maps import FamiliaritySpec, FittingSpec
from interlingua.specs.splits import Split
from interlingua.stages.maps.encoder import HostRows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class FamiliarityInputs(NamedTuple, Generic[Member]):
    """A host, and its rows."""

    host: Member
    rows: HostRows[Member]


def familiarity_stage(fitting: FittingSpec, host: Stage, rows: HostRows[Stage]) -> Stage:
    """The spread of one host's rows."""
    read = rows.fit.spec
    return Stage(
        kind="familiarity",
        label=read.host_tag,
        spec=FamiliaritySpec(
            host_tag=read.host_tag,
            block_index=read.block_indices[0],
            num_folds=fitting.ridge.num_folds,
            block_rows=fitting.block_rows,
            num_outside=fitting.num_outside,
            num_others=fitting.num_others,
            seed=fitting.seed,
        ),
        run=run,
        inputs=FamiliarityInputs(host, rows),
        revision=3,
    )


def run(
    spec: FamiliaritySpec, inputs: FamiliarityInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Measure the spread on `fit`, store it, and count what it flags of other rows and texts."""
    from interlingua.core.familiarity import UNLIKE
    from interlingua.core.geometry import has_direction, rescale
    from interlingua.core.statistics import wilson_share
    from interlingua.stages.maps.familiarity_fit import fitted, outside_rows, some_of
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.familiarity import write_familiarity, write_others
    from interlingua.store.rows.splits import recorded_access

    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        fit = KeyedRows(inputs.rows.fit, spec.block_index, {Split.FIT}, access)
        write_others(out, rescale(some_of(fit, spec.num_others)))
        familiarity = fitted(fit, spec)
        if familiarity is None:
            return {"num_rows": 0}
        write_familiarity(out, familiarity)
        dev = KeyedRows(inputs.rows.dev, spec.block_index, {Split.DEV}, access)
        others = {
            "dev": dev.vectors(dev.finite_keys()),
            **outside_rows(spec, inputs.host, inputs.rows.fit),
        }
    metrics: dict[str, Any] = {}
    for kind, h_ND in others.items():
        shares_N = familiarity.share_nearer(rescale(h_ND[has_direction(h_ND)]))
        flagged = wilson_share(int((shares_N > UNLIKE).sum()), len(shares_N))
        metrics |= flagged.as_metrics(f"{kind}/unlike")
        # Of few rows of fit no row can be further than 99% of many: the mean says more.
        metrics[f"{kind}/share_nearer"] = float(shares_N.mean())
    return metrics
