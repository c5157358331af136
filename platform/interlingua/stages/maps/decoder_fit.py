"""How the decoder of a host is fitted: from what the AR makes of the AV's own samples of `fit`."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit
from interlingua.core.maps import Decoder, Encoder
from interlingua.core.moments import Block, FoldMoments, folds_of, row_blocks
from interlingua.specs.training import DecoderSpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.rows.verbalized import Rebuilt

logger = logging.getLogger(__name__)


def fitted(
    rebuilt: Rebuilt, rows: KeyedRows, encoder: Encoder, spec: DecoderSpec
) -> tuple[Decoder, dict[str, Any]]:
    """The ridge of a to h, and how its fit went; a constant where no text could be parsed."""
    blocks = _blocks(rebuilt, rows, encoder, spec.ridge.num_folds)
    folds = FoldMoments.of_blocks(blocks, num_folds=spec.ridge.num_folds)
    num_unread = len(rebuilt.keys) - folds.num_rows
    if folds.num_occupied < 2:
        logger.warning(
            "%s: %d of %d explanations of `fit` could not be parsed; its decoder is a constant",
            spec.host_tag,
            num_unread,
            len(rebuilt.keys),
        )
        return _constant(encoder), {
            "num_rows": 0,
            "is_rank_deficient": True,
            "num_unread": num_unread,
        }
    chosen = fit(folds, strengths=spec.ridge.strengths, centred=True)
    total = folds.total()
    decoder = Decoder(
        weight_DE=chosen.weight_ED,
        centre_E=total.mean_x_D,
        mean_D=encoder.mean_D + total.mean_y_E,
    )
    return decoder, {**chosen.report.as_metrics(), "num_unread": num_unread}


def _blocks(rebuilt: Rebuilt, rows: KeyedRows, encoder: Encoder, num_folds: int) -> Iterator[Block]:
    """n(a) and n(h) less its mean, of the texts that could be read."""
    for part in row_blocks(len(rebuilt.keys)):
        keys, a_NE = rebuilt.keys[part], rebuilt.a_NE[part]
        h_ND = rows.vectors(keys)
        is_good_N = has_direction(a_NE) & has_direction(h_ND)
        fold_N = folds_of((key[0] for key in keys), num_folds)
        c_ND = rescale(h_ND[is_good_N]) - encoder.mean_D
        yield rescale(a_NE[is_good_N]), c_ND, fold_N[is_good_N]


def _constant(encoder: Encoder) -> Decoder:
    """The host's mean, whatever was said."""
    width, host_width = encoder.weight_ED.shape
    return Decoder(
        weight_DE=np.zeros((host_width, width)), centre_E=np.zeros(width), mean_D=encoder.mean_D
    )
