"""The fit of a host's decoder, from what the AR makes of the AV's own samples of `fit`.

Or, as a published run did it, from the host's encoded activations: `fitted_on_encoded`.

h is a raw activation [D] of the host, n(x) is x at the norm sqrt(d), and c = n(h) - m with the mean
m of the host's encoder. The AR's vector of a text is a [E]; n(a) goes in, n(h) comes out.
"""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit
from interlingua.core.maps import Decoder, Encoder
from interlingua.core.moments import Block, FoldMoments, folds_of, row_blocks
from interlingua.core.shared_space import SharedSpace
from interlingua.specs.decoders import DecoderSpec, EncodedDecoderSpec
from interlingua.specs.maps import RidgeSpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.rows.verbalized import Rebuilt

logger = logging.getLogger(__name__)


def fitted(
    rebuilt: Rebuilt, rows: KeyedRows, encoder: Encoder, spec: DecoderSpec
) -> tuple[Decoder, dict[str, Any]]:
    """The ridge from n(a) to n(h), and its metrics; a constant where no text could be parsed."""
    blocks = _blocks(rebuilt, rows, encoder, spec.ridge.num_folds)
    folds = FoldMoments.of_blocks(blocks, num_folds=spec.ridge.num_folds)
    num_unread = len(rebuilt.keys) - folds.num_rows
    # A strength is chosen by the error on held-out folds, which takes two with rows.
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
    decoder, metrics = _solved(folds, encoder, spec.ridge)
    return decoder, {**metrics, "num_unread": num_unread}


def fitted_on_encoded(
    rows: KeyedRows, space: SharedSpace, encoder: Encoder, spec: EncodedDecoderSpec
) -> tuple[Decoder, dict[str, Any]]:
    """The ridge from v, which the AV is given, to n(h), and its metrics."""

    keys, num_folds = rows.finite_keys(), spec.ridge.num_folds
    h_ND = rows.vectors(keys)
    is_good_N = has_direction(h_ND)
    v_NE = space.v_of(spec.host_tag, h_ND[is_good_N]).astype(np.float64)
    fold_N = folds_of((key[0] for key in keys), num_folds)[is_good_N]
    block = v_NE, rescale(h_ND[is_good_N]) - encoder.mean_D, fold_N
    return _solved(FoldMoments.of_blocks([block], num_folds=num_folds), encoder, spec.ridge)


def _solved(
    folds: FoldMoments, encoder: Encoder, ridge: RidgeSpec
) -> tuple[Decoder, dict[str, Any]]:
    chosen = fit(folds, strengths=ridge.strengths, centred=True)
    total = folds.total()
    # About the means of its own rows: rows without a text are missing, so the mean of c is not
    # 0 over the others. It is the offset of the ridge and stands beside m in the decoder's mean.
    decoder = Decoder(
        weight_DE=chosen.weight_ED,
        centre_E=total.mean_x_D,
        mean_D=encoder.mean_D + total.mean_y_E,
    )
    return decoder, chosen.report.as_metrics()


def _blocks(rebuilt: Rebuilt, rows: KeyedRows, encoder: Encoder, num_folds: int) -> Iterator[Block]:
    """Blocks of n(a), c and folds, of the rows whose text and activation both have a direction."""
    for part in row_blocks(len(rebuilt.keys)):
        keys, a_NE = rebuilt.keys[part], rebuilt.a_NE[part]
        h_ND = rows.vectors(keys)
        is_good_N = has_direction(a_NE) & has_direction(h_ND)
        # Folds by passage: rows of one passage on both sides would choose too weak a ridge.
        fold_N = folds_of((key[0] for key in keys), num_folds)
        c_ND = rescale(h_ND[is_good_N]) - encoder.mean_D
        yield rescale(a_NE[is_good_N]), c_ND, fold_N[is_good_N]


def _constant(encoder: Encoder) -> Decoder:
    """A decoder that gives the host's mean for every text."""
    width, host_width = encoder.weight_ED.shape
    return Decoder(
        weight_DE=np.zeros((host_width, width)), centre_E=np.zeros(width), mean_D=encoder.mean_D
    )
