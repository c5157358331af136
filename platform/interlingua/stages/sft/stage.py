"""Stages `av` and `ar`: the two models under supervision, each to its best weights on `dev`.

The stage is a driver: ranks read, train and evaluate; here their results are measured and stored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlingua.specs.placement import WorkKind
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining, AvTraining
from interlingua.stages.running.context import Context
from interlingua.stages.sft.job import LearningInputs, TrainingJob
from interlingua.store.artifact import Artifact, Stage

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from interlingua.stages.sft.loop import MakeProgram
    from interlingua.store.rows.splits import SplitAccess

SUPERVISED, START = "sft", "start"
TRAIN_VARIANCE = "train_variance"  # of the anchor's v: the `train` denominator of an FVE


def av_stage(spec: AvTraining, inputs: LearningInputs[Stage], *, label: str = SUPERVISED) -> Stage:
    """The verbalizer after supervised training."""
    return Stage(
        kind="av",
        label=label,
        spec=spec,
        run=run_av,
        inputs=inputs,
        revision=2,
        work=WorkKind.TRAINING,
        device=WorkKind.TRAINING,
    )


def ar_stage(spec: ArTraining, inputs: LearningInputs[Stage]) -> Stage:
    """The reconstructor after supervised training."""
    return Stage(
        kind="ar",
        label=SUPERVISED,
        spec=spec,
        run=run_ar,
        inputs=inputs,
        revision=4,
        work=WorkKind.TRAINING,
        device=WorkKind.TRAINING,
    )


def run_av(
    spec: AvTraining, inputs: LearningInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Train the AV; its metrics compare the loss under real, shuffled and zero vectors."""
    from interlingua.stages.sft.av import AvProgram
    from interlingua.stages.sft.checkpoints import forget_training
    from interlingua.stages.sft.results import affine_metrics, counts, nll_metrics, store_encoders
    from interlingua.store.rows.explanations import check_one_teacher
    from interlingua.store.rows.splits import recorded_access

    _check_start_model(inputs)
    check_one_teacher(inputs.explanations.path, accepts=spec.accepts_teachers)
    with recorded_access({Split.AV_SFT, Split.DEV}, out) as access:
        _note_explanations(inputs, Split.AV_SFT, access)
    weights, columns, dev_eval = _trained(AvProgram, spec, inputs, out, context)
    store_encoders(spec, inputs.encoders(), weights, out)
    metrics = {
        **counts(out),
        "best_step": dev_eval["step"],
        "num_trained": sum(weight.numel() for weight in weights.values()),
        **nll_metrics(columns, spec.av.seed),
        **affine_metrics(spec.av, weights),
    }
    forget_training(out)
    return metrics


def run_ar(
    spec: ArTraining, inputs: LearningInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Train the AR; its metrics compare it with readers of words alone."""
    from interlingua.stages.sft.ar import ArProgram, opened_targets
    from interlingua.stages.sft.checkpoints import forget_training
    from interlingua.stages.sft.results import counts, fve_metrics, store_rows
    from interlingua.stages.sft.word_readers import word_reader_errors
    from interlingua.store.rows.explanations import check_one_teacher
    from interlingua.store.rows.splits import recorded_access

    check_one_teacher(inputs.explanations.path, accepts=spec.accepts_teachers)
    with recorded_access({Split.AR_SFT, Split.DEV}, out) as access:
        _note_explanations(inputs, Split.AR_SFT, access)
        weights, columns, dev_eval = _trained(ArProgram, spec, inputs, out, context)
        # Opened anew: the program lived in the ranks, and its reading was in no ledger.
        train = opened_targets(spec, inputs, Split.AR_SFT, access)
        errors = word_reader_errors(spec, inputs, columns, train, access)
        if spec.anchor in spec.host_tags:
            train_variance = train.variances[spec.anchor]
        else:
            own = opened_targets(spec, inputs, Split.AR_SFT, access, tags=[spec.anchor])
            train_variance = own.variances[spec.anchor]
    columns = {**columns, **{f"{name}_nmse": errors_N for name, errors_N in errors.items()}}
    # Over the rows that `store_best` copied: now with the columns of the controls.
    store_rows(out, columns)
    metrics = {
        **counts(out),
        "best_step": dev_eval["step"],
        "num_trained": sum(weight.numel() for weight in weights.values()),
        TRAIN_VARIANCE: train_variance,
        **fve_metrics(columns, spec.ar.seed),
    }
    forget_training(out)
    return metrics


def _trained(
    make: "MakeProgram",
    spec: Any,
    inputs: LearningInputs[Artifact],
    out: Path,
    context: Context,
) -> "tuple[dict[str, Tensor], Mapping[str, np.ndarray], dict[str, float]]":
    """Train to the end; returns the best weights, their `dev` rows, and their evaluation."""
    from interlingua.stages.sft.best_weights import best_of, store_best

    place = context.placement.training
    job = TrainingJob(
        spec=spec,
        inputs=inputs,
        out=out,
        micro_batch_rows=place.micro_batch_rows,
        threads=context.placement.threads_per_worker,
        device=place.device,
    )
    context.trainer.fit(make, job, place)
    store_best(out)
    return best_of(out)


def _check_start_model(inputs: LearningInputs[Artifact]) -> None:
    """Raise before anything is read where the model to begin with is not of the trunk's make."""
    from interlingua.models.pair.start import check_start
    from interlingua.store.hosts import opened_from

    if inputs.start_model is not None:
        check_start(opened_from(inputs.start_model), trunk=opened_from(inputs.trunk))


def _note_explanations(
    inputs: LearningInputs[Artifact], split: Split, access: "SplitAccess"
) -> None:
    """Note what the ranks may read as consumed: they cannot write one ledger together."""
    from interlingua.store.rows.explanations import consume_explanations

    consume_explanations(inputs.explanations.path, {split}, access)
    consume_explanations(inputs.dev_explanations.path, {Split.DEV}, access)
