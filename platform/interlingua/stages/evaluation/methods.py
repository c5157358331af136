"""Stage `methods`: what published ways to fit a decoder, and to score it, report of one NLA.

Beside the NLA stand predictors that know nothing of an activation: a number on which one of them
does well measures something else. On the first T=1 explanation of every evaluated activation.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interlingua.core.collapse import collapse_drawn, score_texts
from interlingua.core.geometry import rescale
from interlingua.core.resampling import Drawn, Draws
from interlingua.probes.decoder_fits import FitRows
from interlingua.probes.methods import (
    METHODS_NAME,
    UNIQUE_SHARE,
    Key,
    Predictor,
    ScoredRows,
    means_over_hosts,
    methods_drawn,
    write_methods,
)
from interlingua.specs.evaluation import Arm, MethodsSpec
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.unseen import check_unseen
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import opened_rows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.maps import read_encoder
from interlingua.store.rows.splits import SplitAccess, recorded_access
from interlingua.store.rows.verbalized import Rebuilt, read_verbalized


def run(
    spec: MethodsSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Every decoder fit, predictor and kind of FVE, as means over hosts."""
    torch.set_num_threads(context.placement.threads_per_worker)
    with recorded_access({Split.FIT, spec.split}, out) as access:
        spoken = {tag: _first(inputs, tag, spec.split, access) for tag in spec.host_tags}
        passages = [passage_id for said in spoken.values() for passage_id, _ in said.keys]
        check_unseen(set(passages), spec.split, inputs, out.parent.parent)
        draws = Draws.of(np.array(passages), seed=spec.seed)
        by_host = {
            tag: _drawn(tag, said, draws, spec, inputs, access) for tag, said in spoken.items()
        }
    numbers = means_over_hosts(by_host)
    write_methods(out / METHODS_NAME, numbers)
    return {"num_hosts": len(by_host), "num_numbers": len(numbers)}


def _drawn(
    tag: str,
    said: Rebuilt,
    draws: Draws,
    spec: MethodsSpec,
    inputs: Mapping[str, Artifact],
    access: SplitAccess,
) -> Mapping[Key, Drawn]:
    """One host, in the draws of all."""
    rows = opened_rows(inputs[f"{tag}_{spec.split.value}"], [spec.split], access)
    passages_N = _passages(said)
    n_ND = rescale(rows.vectors(said.keys))
    scored = ScoredRows(a_NE=said.a_NE, n_ND=n_ND, passages_N=passages_N)
    texts: dict[Predictor, list[str | None]] = {
        Predictor.NLA: [row.explanation for row in said.rows],
        Predictor.COLLAPSED_AV: ["one and the same"] * len(said.rows),
    }
    unique_shares = {
        predictor: collapse_drawn(score_texts(own, passages_N)._asdict(), passages_N, draws)[
            UNIQUE_SHARE
        ]
        for predictor, own in texts.items()
        if any(own)
    }
    fit = _fit_rows(tag, spec, inputs, access)
    return methods_drawn(
        fit,
        scored,
        draws,
        ridge=spec.ridge,
        unique_shares=unique_shares,
        seed=spec.seed,
    )


def _fit_rows(
    tag: str, spec: MethodsSpec, inputs: Mapping[str, Artifact], access: SplitAccess
) -> FitRows:
    said = read_verbalized(inputs[f"{tag}_verbalized"].path, Split.FIT, Arm.SAMPLED, access)
    rows = opened_rows(inputs[f"{tag}_fit"], [Split.FIT], access)
    h_ND = rows.vectors(said.keys)
    tags = list(dict.fromkeys((spec.anchor, tag)))
    space = opened_space(inputs, tags, anchor=spec.anchor, centring=spec.centring)
    return FitRows(
        a_NE=said.a_NE,
        n_ND=rescale(h_ND),
        v_NE=space.v_of(tag, h_ND).astype(np.float64),
        passages_N=_passages(said),
        encoder=read_encoder(inputs[f"{tag}_encoder"].path),
    )


def _first(inputs: Mapping[str, Artifact], tag: str, split: Split, access: SplitAccess) -> Rebuilt:
    """The first T=1 text of every activation."""
    said = read_verbalized(inputs[f"{tag}_spoken"].path, split, Arm.SAMPLED, access)
    places = [place for place, row in enumerate(said.rows) if row.sample == 0]
    keys: Sequence = [said.keys[place] for place in places]
    return Rebuilt(list(keys), [said.rows[place] for place in places], said.a_NE[places])


def _passages(said: Rebuilt) -> np.ndarray:
    return np.array([passage_id for passage_id, _ in said.keys])
