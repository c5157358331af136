"""The rows of a cell: the NLL of the teacher's explanation, and the round trip of the AV's texts.

v [E] is a host's vector in the shared space, a [E] the AR's of a text; N rows, K samples of each.
"""

from typing import Any

import numpy as np
import torch

from interlingua.core.geometry import has_direction, nmse, unit
from interlingua.core.metrics import derangement, retrieval_ranks
from interlingua.core.shared_space import SharedSpace
from interlingua.specs.cells import CellSpec
from interlingua.specs.evaluation import Predictor
from interlingua.stages.evaluation.inputs import CellHost, CellInputs
from interlingua.stages.evaluation.token_nll import (
    Asked,
    opened_learner,
    scored_texts,
    usable_texts,
)
from interlingua.stages.maps.space import opened_space
from interlingua.stages.nla.inputs import WriterInputs
from interlingua.stages.rows.keyed import opened_rows
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import read_verbalized

FAILED_NMSE = 2.0  # of a text without an explanation, as in every evaluation

Columns = dict[str, np.ndarray]


def scored_cell(
    spec: CellSpec,
    inputs: CellInputs[Artifact],
    access: SplitAccess,
    *,
    device: str,
    batch_rows: int,
    threads: int,
) -> Columns:
    """The columns of all rows, host after host."""
    torch.set_num_threads(threads)
    space = opened_space(
        {tag: host.encoder for tag, host in inputs.hosts.items()},
        anchor=spec.anchor,
        centring=spec.centring,
    )
    explained = read_explanations(inputs.explanations.path, {spec.split}, access)
    writer = WriterInputs(inputs.pair.trunk, inputs.pair.av)
    texts, learner = usable_texts(writer, explained), opened_learner(writer, space, device=device)
    rows: list[dict[str, Any]] = []
    for turn, host in enumerate(inputs.hosts[tag] for tag in spec.host_tags):
        trips = _round_trips(spec, host, space, access)
        keyed = opened_rows(host.rows, [spec.split], access)
        # What has a round trip is what was asked about; without an explanation there is no NLL.
        keys = [key for key in trips if key in texts]
        other_N = derangement(np.array([key[0] for key in keys]), seed=spec.seed)
        others = [keys[other] for other in other_N]
        asked = Asked(keys, [texts.ids_of(key, 0) for key in keys], others)
        scored = scored_texts(
            learner, keyed, asked, turn=turn, batch_rows=batch_rows, device=device
        )
        rows += [{**row, **trips[row["passage_id"], row["position"]]} for row in scored]
    if not rows:
        raise ValueError(f"no row of {spec.split} has an explanation of the teacher")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _round_trips(
    spec: CellSpec, host: CellHost[Artifact], space: SharedSpace, access: SplitAccess
) -> dict[Key, dict[str, float]]:
    """What the AR makes of the AV's samples of every row, as means over samples."""
    found = read_verbalized(host.texts.path, spec.split, Predictor.SAMPLED, access)
    asked = list(dict.fromkeys(found.keys))
    h_ND = opened_rows(host.rows, [spec.split], access).vectors(asked)
    is_good_N = has_direction(h_ND)
    kept = [key for key, is_good in zip(asked, is_good_N, strict=True) if is_good]
    place = {key: row for row, key in enumerate(kept)}
    u_NE = unit(space.v_of(host.rows.record.spec["host_tag"], h_ND[is_good_N]))
    num_samples = 1 + max(row.sample for row in found.rows)
    a_KNE = np.full((num_samples, *u_NE.shape), np.nan)
    for row, key, a_E in zip(found.rows, found.keys, found.a_NE, strict=True):
        if key in place:
            a_KNE[row.sample, place[key]] = a_E
    trips = [_trip(a_NE, u_NE) for a_NE in a_KNE]
    columns = {name: np.mean([trip[name] for trip in trips], axis=0) for name in trips[0]}
    # About the mean of these rows: predicting that mean is an FVE of 0.
    columns["own_variance"] = ((u_NE - u_NE.mean(0)) ** 2).sum(1)
    return {
        key: {name: float(column_N[row]) for name, column_N in columns.items()}
        for key, row in place.items()
    }


def _trip(a_NE: np.ndarray, u_NE: np.ndarray) -> Columns:
    """Error and retrieval of one sample a row; a text without an explanation finds nothing."""
    is_read_N = has_direction(a_NE)
    a_NE = np.where(is_read_N[:, None], a_NE, 0.0)
    return {
        "nmse": np.where(is_read_N, nmse(a_NE, u_NE), FAILED_NMSE),
        "top1": (retrieval_ranks(a_NE, u_NE) == 1) & is_read_N,
        "unparsable": ~is_read_N,
    }
