"""Ridges of the arms that are not the NLA's, fitted on `fit`. Knows no scored row.

h is a raw activation [D], n(h) the same at the norm sqrt(D), v [E] its vector in the shared space.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit_blocks
from interlingua.core.moments import Block, folds_of, row_blocks
from interlingua.specs.evaluation import ScoreSpec
from interlingua.stages.maps.space import opened_space
from interlingua.store.artifact import Artifact
from interlingua.store.rows.shards import Key
from interlingua.store.rows.verbalized import Rebuilt


def encoder_ridge(
    keys: Sequence[Key], fit_ND: np.ndarray, spec: ScoreSpec, encoders: Mapping[str, Artifact]
) -> Callable[[np.ndarray], np.ndarray]:
    """A ridge from v back to n(h): the loss on the way into the shared space, without any text."""
    space = opened_space(encoders, anchor=spec.anchor, centring=spec.centring)

    def encoded(h_ND: np.ndarray) -> np.ndarray:
        return space.v_of(spec.host_tag, h_ND).astype(np.float64)

    return _ridge(encoded, keys, fit_ND, fit_ND, spec)


def word_ridge(
    said: Rebuilt, fit_ND: np.ndarray, spec: ScoreSpec
) -> Callable[[Sequence[str]], np.ndarray]:
    """A ridge from the words of an explanation to n(h): a reading without an AR."""
    # The AV's own texts of `fit`, as the decoder has them: both are fitted to the same words.
    texts = [row.explanation or "" for row in said.rows]
    words = BagOfWords(texts, most=spec.most_words)
    if not words.num_words:  # not one text could be read: what is left is the mean
        mean_D = rescale(fit_ND[has_direction(fit_ND)]).mean(axis=0)
        return lambda new: np.tile(mean_D, (len(new), 1))
    return _ridge(words.counts, said.keys, texts, fit_ND, spec)


def _ridge(
    features: Callable, keys: Sequence[Key], sources: Any, fit_ND: np.ndarray, spec: ScoreSpec
) -> Callable:
    is_good_N = has_direction(fit_ND)

    def blocks() -> Iterator[Block]:
        for part in row_blocks(len(keys)):
            # Features of the whole block, then the good rows: `sources` may be a list of texts.
            good = np.flatnonzero(is_good_N[part])
            fold_B = folds_of((key[0] for key in keys[part]), spec.ridge.num_folds)
            yield features(sources[part])[good], rescale(fit_ND[part][good]), fold_B[good]

    chosen = fit_blocks(blocks(), spec.ridge)
    return lambda new: chosen(features(new))
