"""The fit of a host's encoder on split `fit`, and its scores on `dev`.

h is a raw activation [D], n(h) the same at the norm sqrt(D), m the mean of n(h) over `fit`, E the
encoder's matrix [E, D], e = E (n(h) - m). h_A and m_A are the anchor's, whose E is the identity.

Rows of `fit` are streamed: memory holds one block of them and the second moments, however many
there are. Rows of `dev` are scored all at once.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import FitReport, fit
from interlingua.core.maps import Encoder
from interlingua.core.metrics import (
    RowScores,
    constant_scores,
    fve_estimates,
    score_rows,
    shuffled_fve_centred,
)
from interlingua.core.moments import Block, FoldMoments, Moments, folds_of
from interlingua.specs.maps import EncoderSpec, RidgeSpec
from interlingua.stages.rows.keyed import KeyedRows, shared_keys
from interlingua.store.rows.shards import Key

logger = logging.getLogger(__name__)


class Targets:
    """The mean of what the encoders of several hosts give, to which another encoder is fitted."""

    def __init__(self, rows: Sequence[KeyedRows], encoders: Sequence[Encoder]) -> None:
        self.rows, self._encoders = rows, encoders

    def __call__(self, keys: Sequence[Key]) -> tuple[np.ndarray, np.ndarray]:
        """The targets [N, E] of these rows, and a mask of those with a direction in every host."""
        raw = [rows.vectors(keys) for rows in self.rows]
        is_good_N = np.logical_and.reduce([has_direction(h_ND) for h_ND in raw])
        # A zero row stays zero in `rescale` and would be encoded as -E m: the mask drops it.
        encoded = [
            encoder(rescale(h_ND)) for encoder, h_ND in zip(self._encoders, raw, strict=True)
        ]
        return np.mean(encoded, axis=0), is_good_N


def fitted(
    host: KeyedRows, targets: Targets, spec: EncoderSpec, ridge: RidgeSpec
) -> tuple[Encoder, dict[str, Any]]:
    """The ridge from the host's rows to the targets, and the metrics of its fit."""
    keys = shared_keys([host, *targets.rows])
    blocks = (
        _block(block_keys, host, targets, ridge.num_folds)
        for block_keys in _key_blocks(keys, spec.block_rows)
    )
    folds = FoldMoments.of_blocks(blocks, num_folds=ridge.num_folds)
    if not folds.num_rows:
        raise ValueError(f"{spec.host_tag} and its targets share no `fit` row with a direction")
    chosen = fit(folds, strengths=ridge.strengths, centred=True)
    _warn(spec.host_tag, host.width, chosen.report)
    # The ridge's own offset is left out: e has mean 0 on the rows of its fit, as its targets
    # have on theirs.
    encoder = Encoder(weight_ED=chosen.weight_ED, mean_D=folds.total().mean_x_D)
    num_dropped = host.num_expected - chosen.report.num_rows
    return encoder, {**chosen.report.as_metrics(), "num_dropped": num_dropped}


def identity(host: KeyedRows, spec: EncoderSpec) -> tuple[Encoder, dict[str, Any]]:
    """The identity, with the mean of the anchor's own rows."""
    # Only the mean of x is wanted: y is one column of zeros.
    moments = Moments.empty(host.width, 1)
    for keys in _key_blocks(host.finite_keys(), spec.block_rows):
        h_ND = host.vectors(keys)
        n_ND = rescale(h_ND[has_direction(h_ND)])
        if len(n_ND):
            moments.join(Moments.of_rows(n_ND, np.zeros((len(n_ND), 1))))
    if not moments.num_rows:
        raise ValueError(f"{spec.host_tag} has no `fit` row with a direction")
    encoder = Encoder(weight_ED=np.eye(host.width), mean_D=moments.mean_x_D)
    report = {"num_rows": moments.num_rows, "num_dropped": host.num_expected - moments.num_rows}
    return encoder, report | {"effective_rank": float(host.width), "is_rank_deficient": False}


def _block(keys: Sequence[Key], host: KeyedRows, targets: Targets, num_folds: int) -> Block:
    """n(h), its target and its fold, of the rows for which both have a direction."""
    h_ND = host.vectors(keys)
    target_NE, is_good_N = targets(keys)
    is_good_N &= has_direction(h_ND)
    fold_N = folds_of((key[0] for key in keys), num_folds)
    return rescale(h_ND[is_good_N]), target_NE[is_good_N], fold_N[is_good_N]


def _key_blocks(keys: Sequence[Key], block_rows: int) -> Iterator[Sequence[Key]]:
    return (keys[start : start + block_rows] for start in range(0, len(keys), block_rows))


def dev_scores(
    encoder: Encoder, host: KeyedRows, anchor: tuple[KeyedRows, Encoder] | None, *, seed: int
) -> dict[str, Any]:
    """FVEs of the anchor's `dev` vectors as the host's rebuild them: n(m_A + e) against n(h_A).

    `anchor` None means that the host is the anchor itself.
    """
    anchor_rows, anchor_encoder = anchor or (host, encoder)
    keys = shared_keys([host, anchor_rows])
    h_ND, target_NE = host.vectors(keys), anchor_rows.vectors(keys)
    is_good_N = has_direction(h_ND) & has_direction(target_NE)
    passages_N = np.array([passage_id for passage_id, _ in keys])[is_good_N]
    target_NE = target_NE[is_good_N]
    # e is centred and the targets are not: the anchor's mean is added back.
    predicted_NE = anchor_encoder.mean_D + encoder(rescale(h_ND[is_good_N]))
    # Beside it what a constant scores, and what the predictions score on another row's target.
    constant = constant_scores(anchor_encoder.mean_D, target_NE)
    return {
        **_estimates("dev", score_rows(predicted_NE, target_NE), passages_N, seed),
        **_estimates("constant", constant, passages_N, seed),
        "shuffled/fve_centred_own": shuffled_fve_centred(predicted_NE, target_NE),
    }


def _estimates(name: str, scores: RowScores, passages_N: np.ndarray, seed: int) -> dict[str, float]:
    estimates = fve_estimates(scores._asdict(), passages_N, seed=seed)
    return {
        key: value
        for kind, estimate in estimates.items()
        for key, value in estimate.as_metrics(f"{name}/{kind}").items()
    }


def _warn(tag: str, width: int, report: FitReport) -> None:
    if report.is_rank_deficient:
        logger.warning("%s: the rows do not determine the map (rank-deficient)", tag)
    elif report.has_few_rows:
        logger.warning("%s: only %d rows for %d dimensions", tag, report.num_rows, width)
