"""The results of a supervised training: its metrics, and the encoders trained with it."""

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
from interlingua.core.word_readers import READERS
from interlingua.specs.training import AvSpec, AvTraining
from interlingua.stages.maps.space import opened_space
from interlingua.stages.sft.av_learner import VECTORS
from interlingua.stages.sft.best_weights import ROWS_NAME
from interlingua.stages.sft.loop import COUNTS_NAME
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.maps import ENCODERS, write_encoder

AFFINE_PREFIX = "verbalizer.affine."

Columns = Mapping[str, np.ndarray]


def counts(out: Path) -> dict[str, int]:
    """Counts of the training's corpus."""
    counts: dict[str, int] = json.loads((out / COUNTS_NAME).read_bytes())
    return counts


def store_rows(out: Path, columns: Columns) -> None:
    """Store the rows of `dev` with these columns."""
    with write_atomically(out / ROWS_NAME) as file:
        pq.write_table(pa.table(dict(columns)), file)


def nll_metrics(columns: Columns, seed: int) -> dict[str, float]:
    """The NLL of a token and how much the right vector lowers it, with intervals over passages."""
    num_tokens_N, passages_N = columns["num_tokens"], columns["passage_id"]
    # Ratios of sums: the NLL of a token, not the mean over texts of unlike lengths.
    sums = {f"dev/nll_{name}": columns[f"nll_{name}"] for name in VECTORS}
    for name in ("shuffled", "zero"):
        # Paired row by row: how hard a text is cancels out.
        sums[f"dev/nll_{name}_less_real"] = columns[f"nll_{name}"] - columns["nll_real"]
    return {
        key: value
        for name, sums_N in sums.items()
        for key, value in clustered_ratio_of_sums(sums_N, num_tokens_N, passages_N, seed=seed)
        .as_metrics(name)
        .items()
    }


def fve_metrics(columns: Columns, seed: int) -> dict[str, float]:
    """fve_centred_own of the AR and of every reader of words, and their paired differences."""
    passages_N, variance_N = columns["passage_id"], columns["own_variance"]
    metrics: dict[str, float] = {}
    for name, errors in (("dev", "nmse"), *((name, f"{name}_nmse") for name in READERS)):
        pair = {"nmse": columns[errors], "own_variance": variance_N}
        estimate = fve_estimates(pair, passages_N, seed=seed)["fve_centred_own"]
        metrics |= estimate.as_metrics(f"{name}/fve_centred_own")
    for name in READERS:
        gain_N = columns[f"{name}_nmse"] - columns["nmse"]
        gain = clustered_ratio_of_sums(gain_N, variance_N, passages_N, seed=seed)
        metrics |= gain.as_metrics(f"dev/fve_over_{name}")
    return metrics


def affine_metrics(spec: AvSpec, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Distances of each slot's map from the identity and from the other slots'."""
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
    # The module itself makes the matrices [S, D, D], whatever the variant is trained as.
    affine.load_state_dict(own)
    found = deviations(affine.weight_SDD())
    bias_norms_S: list[float] = affine.bias_SD().detach().norm(dim=1).tolist()
    return {f"affine/{name}": values for name, values in found.items()} | {
        "affine/bias_norm": bias_norms_S
    }


def store_encoders(
    spec: AvTraining, encoders: Mapping[str, Artifact], weights: Mapping[str, Tensor], out: Path
) -> None:
    """Write the encoders that were trained with the AV, a folder for each."""
    if spec.av.encoder_learning_rate is None:
        return
    space = opened_space(
        encoders,
        anchor=spec.anchor,
        centring=spec.av.injection.centring,
        is_trained=True,
    )
    prefix = "space."
    own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    # The weights hold what was trained alone: means and the anchor's map are as they were.
    space.load_state_dict({**space.state_dict(), **own})
    for tag in spec.host_tags:
        folder = out / ENCODERS / tag
        folder.mkdir(parents=True, exist_ok=True)
        # fp64, as fitted encoders are stored.
        weight_ED, mean_D = (
            part.detach().double().numpy() for part in (space.weight_of(tag), space.mean_of(tag))
        )
        write_encoder(folder, Encoder(weight_ED=weight_ED, mean_D=mean_D))
