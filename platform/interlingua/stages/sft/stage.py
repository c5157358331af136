"""Stages `av` and `ar`: the two models under supervision, each to its best weights on `dev`.

The stage is a driver: its ranks read, train and look; here their result is counted and stored.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from interlingua.core.affine import deviations, fresh_affine
from interlingua.core.maps import Encoder
from interlingua.core.metrics import fve_estimates
from interlingua.core.statistics import clustered_ratio_of_sums
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining, AvSpec, AvTraining
from interlingua.stages.maps.space import opened_space
from interlingua.stages.running.context import Context
from interlingua.stages.sft.ar import ArProgram, opened_targets
from interlingua.stages.sft.av import VECTORS, AvProgram
from interlingua.stages.sft.bag_of_words import bag_of_words_errors
from interlingua.stages.sft.best_weights import ROWS_NAME, best_of, store_best
from interlingua.stages.sft.checkpoints import forget_training
from interlingua.stages.sft.loop import COUNTS_NAME, MakeProgram, TrainingJob
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.maps import ENCODERS, write_encoder
from interlingua.store.rows.explanations import check_one_teacher, consume_explanations
from interlingua.store.rows.splits import SplitAccess, recorded_access

AFFINE_PREFIX = "verbalizer.affine."
TRAIN_VARIANCE = "train_variance"  # of the anchor's v: the `train` denominator of an FVE

Columns = Mapping[str, np.ndarray]


def run_av(
    spec: AvTraining, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Train the AV; its metrics compare the loss under real, shuffled and zero vectors."""
    check_one_teacher(inputs["explanations"].path, accepts_mixed=spec.accepts_mixed_teachers)
    with recorded_access({Split.AV_SFT, Split.DEV}, out) as access:
        _note_explanations(inputs, Split.AV_SFT, access)
    weights, columns, dev_eval = _trained(AvProgram, spec, inputs, out, context)
    _store_encoders(spec, inputs, weights, out)
    metrics = {
        **_counts(out),
        "best_step": dev_eval["step"],
        "num_trained": sum(weight.numel() for weight in weights.values()),
        **_nll_metrics(columns, spec.av.seed),
        **_affine_metrics(spec.av, weights),
    }
    forget_training(out)
    return metrics


def run_ar(
    spec: ArTraining, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Train the AR; its metrics compare it with a linear map from a bag of words."""
    check_one_teacher(inputs["explanations"].path, accepts_mixed=spec.accepts_mixed_teachers)
    with recorded_access({Split.AR_SFT, Split.DEV}, out) as access:
        _note_explanations(inputs, Split.AR_SFT, access)
        weights, columns, dev_eval = _trained(ArProgram, spec, inputs, out, context)
        train = opened_targets(spec, inputs, "rows", Split.AR_SFT, access)
        baseline_N = bag_of_words_errors(spec, inputs, columns, train, access)
        train_variance = train.variances[spec.anchor]
    columns = {**columns, "bag_of_words_nmse": baseline_N}
    with write_atomically(out / ROWS_NAME) as file:
        pq.write_table(pa.table(dict(columns)), file)
    metrics = {
        **_counts(out),
        "best_step": dev_eval["step"],
        "num_trained": sum(weight.numel() for weight in weights.values()),
        TRAIN_VARIANCE: train_variance,
        **_fve_metrics(columns, spec.ar.seed),
    }
    forget_training(out)
    return metrics


def _trained(
    make: MakeProgram, spec: Any, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> tuple[dict[str, Tensor], Columns, dict[str, float]]:
    """Train to the end; the best weights, their dev rows, and the look at them."""
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


def _note_explanations(inputs: Mapping[str, Artifact], split: Split, access: SplitAccess) -> None:
    """The ranks' readers cannot write one ledger: what they may see is noted as consumed."""
    consume_explanations(inputs["explanations"].path, {split}, access)
    consume_explanations(inputs["dev_explanations"].path, {Split.DEV}, access)


def _counts(out: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads((out / COUNTS_NAME).read_bytes())
    return counts


def _nll_metrics(columns: Columns, seed: int) -> dict[str, float]:
    """NLL a token and what the vector is worth, with intervals over passages."""
    num_tokens_N, passages_N = columns["num_tokens"], columns["passage_id"]
    sums = {f"dev/nll_{name}": columns[f"nll_{name}"] for name in VECTORS}
    for name in ("shuffled", "zero"):
        sums[f"dev/nll_{name}_less_real"] = columns[f"nll_{name}"] - columns["nll_real"]
    return {
        key: value
        for name, sums_N in sums.items()
        for key, value in clustered_ratio_of_sums(sums_N, num_tokens_N, passages_N, seed=seed)
        .as_metrics(name)
        .items()
    }


def _fve_metrics(columns: Columns, seed: int) -> dict[str, float]:
    """fve_centred_own of AR and bag of words and their paired difference, hosts together."""
    passages_N, variance_N = columns["passage_id"], columns["own_variance"]
    metrics: dict[str, float] = {}
    for name, errors in (("dev", "nmse"), ("bag_of_words", "bag_of_words_nmse")):
        pair = {"nmse": columns[errors], "own_variance": variance_N}
        estimate = fve_estimates(pair, passages_N, seed=seed)["fve_centred_own"]
        metrics |= estimate.as_metrics(f"{name}/fve_centred_own")
    gain_N = columns["bag_of_words_nmse"] - columns["nmse"]
    gain = clustered_ratio_of_sums(gain_N, variance_N, passages_N, seed=seed)
    return {**metrics, **gain.as_metrics("dev/fve_over_bag_of_words")}


def _affine_metrics(spec: AvSpec, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Per slot, how far its map is from the identity and from the other slots'."""
    own = {
        name.removeprefix(AFFINE_PREFIX): weight
        for name, weight in weights.items()
        if name.startswith(AFFINE_PREFIX)
    }
    if spec.injection.affine is None:
        return {}
    width = next(weight.shape[-1] for name, weight in own.items() if name.startswith("offset"))
    affine = fresh_affine(
        spec.injection.affine, num_slots=spec.injection.num_slots, width=width, seed=spec.seed
    )
    affine.load_state_dict(own)
    found = deviations(affine.weight_SDD())
    bias_norms_S: list[float] = affine.bias_SD().detach().norm(dim=1).tolist()
    return {f"affine/{name}": values for name, values in found.items()} | {
        "affine/bias_norm": bias_norms_S
    }


def _store_encoders(
    spec: AvTraining, inputs: Mapping[str, Artifact], weights: Mapping[str, Tensor], out: Path
) -> None:
    """Encoders that were trained with the AV, one folder each."""
    if spec.av.encoder_learning_rate is None:
        return
    space = opened_space(
        inputs,
        spec.host_tags,
        anchor=spec.anchor,
        centring=spec.av.injection.centring,
        is_trained=True,
    )
    prefix = "space."
    own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    space.load_state_dict({**space.state_dict(), **own})
    for tag in spec.host_tags:
        folder = out / ENCODERS / tag
        folder.mkdir(parents=True, exist_ok=True)
        weight_ED, mean_D = (
            part.detach().double().numpy() for part in (space.weight_of(tag), space.mean_of(tag))
        )
        write_encoder(folder, Encoder(weight_ED=weight_ED, mean_D=mean_D))
