"""Stage `encoder`: the linear map of one host into the shared space, fitted on split `fit`.

Rows of `fit` are streamed: memory holds one block of them and the second moments, however many
there are. Rows of `dev` are scored all at once.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
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
from interlingua.specs.maps import EncoderSpec, RidgeSpec, TunedEncoderSpec
from interlingua.specs.splits import Split
from interlingua.stages.rows.keyed import KeyedRows, shared_keys
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.maps import ENCODERS, read_encoder, write_encoder
from interlingua.store.rows.explanations import Key
from interlingua.store.rows.splits import SplitAccess, recorded_access

logger = logging.getLogger(__name__)


def run(
    spec: EncoderSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the encoder, store it, and score it on `dev` against the anchor's own vectors."""
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        host = KeyedRows(inputs["fit"], spec.block_index, {Split.FIT}, access)
        if spec.ridge is None:
            encoder, report = _identity(host, spec)
        else:
            encoder, report = _fitted(host, _Target(spec, inputs, access), spec, spec.ridge)
        write_encoder(out, encoder)
        scores = _scores(encoder, inputs, spec, access)
    shape = {"block_index": spec.block_index, "width": host.width}
    return {**shape, **report, **scores}


def run_tuned(
    spec: TunedEncoderSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Take over what the AV's training left of an encoder, and score it in the same way."""
    encoder = read_encoder(inputs["av"].path / ENCODERS / spec.host_tag)
    write_encoder(out, encoder)
    with recorded_access({Split.DEV}, out) as access:
        scores = _scores(encoder, inputs, spec, access)
    return {"block_index": spec.block_index, "width": encoder.weight_ED.shape[1], **scores}


class _Target:
    """What the encoder is fitted to: the mean of what the encoders of the targets give."""

    def __init__(
        self, spec: EncoderSpec, inputs: Mapping[str, Artifact], access: SplitAccess
    ) -> None:
        self.rows = []
        self._encoders = []
        for tag in spec.targets:
            artifact = inputs[f"{tag}_fit"]
            (block_index,) = artifact.record.spec["block_indices"]
            self.rows.append(KeyedRows(artifact, block_index, {Split.FIT}, access))
            self._encoders.append(read_encoder(inputs[f"{tag}_encoder"].path))

    def __call__(self, keys: Sequence[Key]) -> tuple[np.ndarray, np.ndarray]:
        """The targets of these rows, and which of them every target has a direction for."""
        raw = [rows.vectors(keys) for rows in self.rows]
        is_good_N = np.logical_and.reduce([has_direction(h_ND) for h_ND in raw])
        encoded = [
            encoder(rescale(h_ND)) for encoder, h_ND in zip(self._encoders, raw, strict=True)
        ]
        return np.mean(encoded, axis=0), is_good_N


def _fitted(
    host: KeyedRows, target: _Target, spec: EncoderSpec, ridge: RidgeSpec
) -> tuple[Encoder, dict[str, Any]]:
    keys = shared_keys([host, *target.rows])
    blocks = (
        _block(block_keys, host, target, ridge.num_folds)
        for block_keys in _key_blocks(keys, spec.block_rows)
    )
    folds = FoldMoments.of_blocks(blocks, num_folds=ridge.num_folds)
    if not folds.num_rows:
        raise ValueError(f"{spec.host_tag} and its targets share no `fit` row with a direction")
    chosen = fit(folds, strengths=ridge.strengths, centred=True)
    _warn(spec.host_tag, host.width, chosen.report)
    encoder = Encoder(weight_ED=chosen.weight_ED, mean_D=folds.total().mean_x_D)
    num_dropped = host.num_expected - chosen.report.num_rows
    return encoder, {**chosen.report.as_metrics(), "num_dropped": num_dropped}


def _identity(host: KeyedRows, spec: EncoderSpec) -> tuple[Encoder, dict[str, Any]]:
    """The identity, with the mean of the anchor's own rows."""
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


def _block(keys: Sequence[Key], host: KeyedRows, target: _Target, num_folds: int) -> Block:
    """n(h) and its target, of the rows for which both have a direction."""
    h_ND = host.vectors(keys)
    target_NE, is_good_N = target(keys)
    is_good_N &= has_direction(h_ND)
    fold_N = folds_of((key[0] for key in keys), num_folds)
    return rescale(h_ND[is_good_N]), target_NE[is_good_N], fold_N[is_good_N]


def _key_blocks(keys: Sequence[Key], block_rows: int) -> Iterator[Sequence[Key]]:
    return (keys[start : start + block_rows] for start in range(0, len(keys), block_rows))


def _scores(
    encoder: Encoder,
    inputs: Mapping[str, Artifact],
    spec: EncoderSpec | TunedEncoderSpec,
    access: SplitAccess,
) -> dict[str, Any]:
    """How well the anchor's `dev` vectors are rebuilt: n(m_A + e) against n(h_A)."""
    is_anchor = "anchor_encoder" not in inputs
    anchor = encoder if is_anchor else read_encoder(inputs["anchor_encoder"].path)
    host = KeyedRows(inputs["dev"], spec.block_index, {Split.DEV}, access)
    (anchor_block,) = inputs["anchor_dev"].record.spec["block_indices"]
    anchor_rows = KeyedRows(inputs["anchor_dev"], anchor_block, {Split.DEV}, access)
    keys = shared_keys([host, anchor_rows])
    h_ND, gold_NE = host.vectors(keys), anchor_rows.vectors(keys)
    is_good_N = has_direction(h_ND) & has_direction(gold_NE)
    passages_N = np.array([passage_id for passage_id, _ in keys])[is_good_N]
    gold_NE = gold_NE[is_good_N]
    predicted_NE = anchor.mean_D + encoder(rescale(h_ND[is_good_N]))
    return {
        **_estimates("dev", score_rows(predicted_NE, gold_NE), passages_N, spec.seed),
        **_estimates("constant", constant_scores(anchor.mean_D, gold_NE), passages_N, spec.seed),
        "shuffled/fve_centred_own": shuffled_fve_centred(predicted_NE, gold_NE),
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
