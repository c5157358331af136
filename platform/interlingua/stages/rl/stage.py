"""Stage `rl`: both models after reinforcement learning, in one artifact.

The stage is a driver: the loop and its roles run where the placement says; here their
results are measured and stored.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.placement import Placement, ThreeGroups, WorkKind
from interlingua.specs.rl import RlTraining
from interlingua.specs.text.recorded import from_jsonable
from interlingua.specs.training import ArTraining, AvTraining
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.rl.job import READ, RlInputs, RlJob
from interlingua.stages.running.context import Context
from interlingua.stages.sft.stage import TRAIN_VARIANCE
from interlingua.store.artifact import Artifact, Stage

logger = logging.getLogger(__name__)


def rl_stage(spec: RlTraining, inputs: RlInputs[Stage], label: str) -> Stage:
    """Both models after reinforcement learning."""
    # The anchor makes the space, also where it is not learned from.
    if unknown := [tag for tag in (spec.anchor, *spec.host_tags) if tag not in inputs.hosts]:
        raise ValueError(
            f"RlTraining names {', '.join(unknown)}; the inputs have {', '.join(inputs.hosts)}"
        )
    return Stage(
        kind="rl",
        label=label,
        spec=spec,
        run=run,
        inputs=inputs,
        revision=6,
        work=WorkKind.REINFORCING,
        device=WorkKind.REINFORCING,
    )


def run(
    spec: RlTraining, inputs: RlInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Reinforce the pair; both models' best weights lie in one file, as `pair.py` opens them."""
    from interlingua.stages.rl.corpus import RlKeys
    from interlingua.stages.rl.loop import play
    from interlingua.stages.rl.results import gains, log_ratios, role_rows, seconds
    from interlingua.stages.sft.best_weights import store_best
    from interlingua.stages.sft.checkpoints import forget_training
    from interlingua.store.rows.splits import recorded_access

    check_pair(spec, inputs.pair)
    place, job = context.placement.reinforcing, _job(spec, inputs, out, context.placement)
    with recorded_access(READ, out) as access:
        keys = RlKeys(spec, inputs, access)  # what cannot be read is named before roles start
        ended = context.reinforcer.play(play, job, place)
        # Ranks, and attempts that were broken off, cannot write one ledger.
        keys.consume(ended.counts["num_steps"])
    gate, counts = ended.stopped_by, ended.counts
    if gate is not None:
        logger.warning("step %d: %s; its best weights are kept", counts["num_steps"], gate)
    store_best(out)
    metrics = {
        **gains(spec.rl, out),
        **counts,
        **seconds(out),
        **log_ratios(out),
        "roles": role_rows(place),
        "stopped_by": gate or "",
        # As the supervised AR has it: a bundle of either pair states the same denominator.
        TRAIN_VARIANCE: inputs.pair.ar.record.metrics[TRAIN_VARIANCE],
    }
    forget_training(out)
    return metrics


def check_pair(spec: RlTraining, pair: PairInputs[Artifact]) -> None:
    """Raise unless both models were trained as the spec says, on this trunk, for these hosts."""
    av = from_jsonable(AvTraining, pair.av.record.spec)
    ar = from_jsonable(ArTraining, pair.ar.record.spec)
    for name, ours, theirs in (("av", spec.av, av.av), ("ar", spec.ar, ar.ar)):
        if ours != theirs:
            raise ValueError(f"RlTraining.{name} is another than the {name} was trained by")
    for name, model in (("av", pair.av), ("ar", pair.ar)):
        # Of another trunk the width, the tokens or the sidecar would be others, too.
        own, given = model.record.inputs["trunk"], pair.trunk.record
        if own.fingerprint != given.fingerprint:
            raise ValueError(
                f"the {name} was trained on trunk {own.label}-{own.fingerprint}, and the input "
                f"trunk is {given.label}-{given.fingerprint}: widths and tokens of the two need "
                "not agree"
            )
    if unknown := [tag for tag in spec.host_tags if tag not in av.host_tags]:
        raise ValueError(
            f"RlTraining.host_tags names {', '.join(unknown)}; allowed: {', '.join(av.host_tags)}"
        )


def _job(spec: RlTraining, inputs: RlInputs[Artifact], out: Path, placement: Placement) -> RlJob:
    place = placement.reinforcing
    # The job of the AV; other roles get their own device and sizes (`cluster/roles.py`).
    own = place.av if isinstance(place, ThreeGroups) else place
    return RlJob(
        spec=spec,
        inputs=inputs,
        out=out,
        micro_batch_rows=own.micro_batch_rows,
        batch_rows=own.batch_rows,
        threads=placement.threads_per_worker,
        device=own.device,
    )
