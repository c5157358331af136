"""Stage `decoder`: the way back into one host, and how much of it comes back.

Fitted on what the AR makes of the AV's own samples of `fit`: gold explanations are not what it will
be given. Scored on `dev`, sampled and greedy; a text that could not be parsed counts as the mean.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale, unit
from interlingua.core.linear import fit
from interlingua.core.metrics import (
    fve_estimates,
    retrieval_estimates,
    retrieval_ranks,
    score_rows,
    shuffled_fve_centred,
)
from interlingua.core.moments import FoldMoments, fold_of
from interlingua.core.statistics import clustered_ratio_of_sums
from interlingua.specs.splits import Split
from interlingua.specs.training import DecoderSpec
from interlingua.stages.backend import Context
from interlingua.stages.rows import KeyedRows
from interlingua.stages.verbalize import GREEDY, SAMPLED
from interlingua.store.artifact import Artifact
from interlingua.store.maps import Decoder, Encoder, read_encoder, write_decoder
from interlingua.store.splits import SplitAccess, recorded_access
from interlingua.store.verbalized import Rebuilt, read_verbalized

logger = logging.getLogger(__name__)

BLOCK_ROWS = 512


def run(
    spec: DecoderSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the decoder, store it, and score the whole way there and back on `dev`."""
    encoder = read_encoder(inputs["encoder"].path)
    folder = inputs["verbalized"].path
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        rebuilt = read_verbalized(folder, Split.FIT, SAMPLED, access)
        rows = KeyedRows(inputs["fit"], spec.block_index, {Split.FIT}, access)
        decoder, report = _fitted(rebuilt, rows, encoder, spec)
        write_decoder(out, decoder)
        metrics: dict[str, Any] = {}
        for manner in (SAMPLED, GREEDY):
            rebuilt = read_verbalized(folder, Split.DEV, manner, access)
            metrics |= _scores(rebuilt, decoder, inputs["dev"], spec, manner, access)
    return {**report, **metrics}


def _fitted(
    rebuilt: Rebuilt, rows: KeyedRows, encoder: Encoder, spec: DecoderSpec
) -> tuple[Decoder, dict[str, Any]]:
    width = encoder.weight_ED.shape[0]
    folds = FoldMoments.empty(width, rows.width, num_folds=spec.ridge.num_folds)
    num_unread = 0
    for start in range(0, len(rebuilt.keys), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        keys, a_NE = rebuilt.keys[part], rebuilt.a_NE[part]
        unique = list(dict.fromkeys(keys))
        place = {key: index for index, key in enumerate(unique)}
        h_ND = rows.vectors(unique)[[place[key] for key in keys]]
        is_good_N = has_direction(a_NE) & has_direction(h_ND)
        num_unread += int((~is_good_N).sum())
        if is_good_N.any():
            fold_N = np.array([fold_of(key[0], spec.ridge.num_folds) for key in keys])[is_good_N]
            c_ND = rescale(h_ND[is_good_N]) - encoder.mean_D
            folds.add(rescale(a_NE[is_good_N]), c_ND, fold_N)
    if sum(1 for fold in folds.folds if fold.num_rows) < 2:
        logger.warning(
            "%s: %d of %d explanations of `fit` could not be parsed; its decoder is a constant",
            spec.host_tag,
            num_unread,
            len(rebuilt.keys),
        )
        mean_D, zero_E = encoder.mean_D, np.zeros(width)
        constant = Decoder(weight_DE=np.zeros((rows.width, width)), centre_E=zero_E, mean_D=mean_D)
        return constant, {"num_rows": 0, "is_rank_deficient": True, "num_unread": num_unread}
    chosen = fit(folds, strengths=spec.ridge.strengths, centred=True)
    total = folds.total()
    decoder = Decoder(
        weight_DE=chosen.weight_ED,
        centre_E=total.mean_x_D,
        mean_D=encoder.mean_D + total.mean_y_E,
    )
    report = asdict(chosen.report)
    report.pop("fold_errors")
    return decoder, {**report, "num_unread": num_unread}


def _scores(
    rebuilt: Rebuilt,
    decoder: Decoder,
    dev: Artifact,
    spec: DecoderSpec,
    manner: str,
    access: SplitAccess,
) -> dict[str, Any]:
    rows = KeyedRows(dev, spec.block_index, {Split.DEV}, access)
    unique = list(dict.fromkeys(rebuilt.keys))
    place = {key: index for index, key in enumerate(unique)}
    gold_ND = rows.vectors(unique)[[place[key] for key in rebuilt.keys]]
    passages_N = np.array([passage_id for passage_id, _ in rebuilt.keys])
    is_read_N = np.isfinite(rebuilt.a_NE).all(axis=1)
    a_NE = np.full(rebuilt.a_NE.shape, np.nan)
    if is_read_N.any():
        a_NE[is_read_N] = rescale(rebuilt.a_NE[is_read_N])
    predicted_ND = decoder(a_NE)
    scores = score_rows(predicted_ND, gold_ND)._asdict()
    estimates = fve_estimates(scores, passages_N, seed=spec.seed)
    ranks_N = retrieval_ranks(predicted_ND - decoder.mean_D, unit(gold_ND) - unit(gold_ND).mean(0))
    estimates |= retrieval_estimates(ranks_N, passages_N, seed=spec.seed)
    estimates["unparsable"] = clustered_ratio_of_sums(
        (~is_read_N).astype(float), np.ones(len(is_read_N)), passages_N, seed=spec.seed
    )
    texts = [row.explanation for row in rebuilt.rows if row.explanation is not None]
    return {
        **{
            key: value
            for name, estimate in estimates.items()
            for key, value in estimate.as_metrics(f"{manner}/{name}").items()
        },
        f"{manner}/shuffled_fve_centred_own": shuffled_fve_centred(predicted_ND, gold_ND),
        f"{manner}/unique_share": len(set(texts)) / max(1, len(texts)),
        f"{manner}/tokens": float(np.mean([row.num_tokens for row in rebuilt.rows])),
    }
