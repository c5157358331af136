"""Stage `decoder`: the way back into one host.

Fitted on what the AR makes of the AV's own samples of `fit`: gold explanations are not what it will
be given. How much comes back is for the evaluation to say.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit
from interlingua.core.moments import FoldMoments, fold_of
from interlingua.specs.evaluation import Arm
from interlingua.specs.splits import Split
from interlingua.specs.training import DecoderSpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.maps import Decoder, Encoder, read_encoder, write_decoder
from interlingua.store.splits import recorded_access
from interlingua.store.verbalized import Rebuilt, read_verbalized

logger = logging.getLogger(__name__)

BLOCK_ROWS = 512


def run(
    spec: DecoderSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the decoder and store it; the metrics are those of its fit."""
    encoder = read_encoder(inputs["encoder"].path)
    folder = inputs["verbalized"].path
    with recorded_access({Split.FIT}, out) as access:
        rebuilt = read_verbalized(folder, Split.FIT, Arm.SAMPLED, access)
        rows = KeyedRows(inputs["fit"], spec.block_index, {Split.FIT}, access)
        decoder, report = _fitted(rebuilt, rows, encoder, spec)
        write_decoder(out, decoder)
    return report


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
    errors = {f"fold_error/{s:g}": error for s, error in report.pop("fold_errors").items()}
    return decoder, {**report, **errors, "num_unread": num_unread}
