"""Maps that only the scoring of other ways than the NLA's needs, fitted on `fit`. Knows no row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit
from interlingua.core.moments import FoldMoments, fold_of
from interlingua.specs.evaluation import ScoreSpec
from interlingua.stages.maps.space import opened_space
from interlingua.store.artifact import Artifact
from interlingua.store.explanations import Key
from interlingua.store.verbalized import Rebuilt

BLOCK_ROWS = 512


def encoder_ridge(
    keys: Sequence[Key], fit_ND: np.ndarray, spec: ScoreSpec, inputs: Mapping[str, Artifact]
) -> Callable[[np.ndarray], np.ndarray]:
    """h -> v -> n(h): what the way into the shared space leaves, without any words."""
    tags = list(dict.fromkeys((spec.anchor, spec.host_tag)))
    space = opened_space(inputs, tags, anchor=spec.anchor, centring=spec.centring)

    @torch.no_grad()
    def encoded(h_ND: np.ndarray) -> np.ndarray:
        v_NE: np.ndarray = space(spec.host_tag, torch.from_numpy(h_ND)).double().numpy()
        return v_NE

    return _ridge(encoded, keys, fit_ND, fit_ND, spec)


def word_ridge(
    said: Rebuilt, fit_ND: np.ndarray, spec: ScoreSpec
) -> Callable[[Sequence[str]], np.ndarray]:
    """Words of an explanation -> n(h): what needs no AR."""
    texts = [row.explanation or "" for row in said.rows]
    words = BagOfWords(texts, most=spec.most_words)
    if not words.num_words:  # nothing was said at all: what is left is the mean
        mean_D = rescale(fit_ND[has_direction(fit_ND)]).mean(axis=0)
        return lambda new: np.tile(mean_D, (len(new), 1))
    return _ridge(words.counts, said.keys, texts, fit_ND, spec)


def _ridge(
    features: Callable, keys: Sequence[Key], sources: Any, fit_ND: np.ndarray, spec: ScoreSpec
) -> Callable:
    num_features = features(sources[:1]).shape[1]
    folds = FoldMoments.empty(num_features, fit_ND.shape[1], num_folds=spec.ridge.num_folds)
    is_good_N = has_direction(fit_ND)
    for start in range(0, len(keys), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        good = np.flatnonzero(is_good_N[part])
        x_BF = features(sources[part])[good]
        fold_B = np.array([fold_of(key[0], spec.ridge.num_folds) for key in keys[part]])[good]
        folds.add(x_BF, rescale(fit_ND[part][good]), fold_B)
    chosen = fit(folds, strengths=spec.ridge.strengths, centred=True)
    return lambda new: chosen(features(new))
