"""Maps of the predictors that are not the NLA's, fitted on `fit`. Knows no scored row.

Folds are of whole documents: `documents` names that of every row of `fit`.

h is a raw activation [D], n(h) the same at the norm sqrt(D), v [E] its vector in the shared space.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from interlingua.core.geometry import has_direction, rescale
from interlingua.core.linear import fit_blocks
from interlingua.core.moments import Block, folds_of, row_blocks
from interlingua.core.word_readers import Read, fit_word_readers
from interlingua.specs.evaluation import Predictor, ScoreSpec
from interlingua.stages.maps.space import opened_space
from interlingua.store.artifact import Artifact
from interlingua.store.rows.verbalized import Rebuilt


def encoder_ridge(
    documents: Sequence[str],
    fit_ND: np.ndarray,
    spec: ScoreSpec,
    encoders: Mapping[str, Artifact],
) -> Callable[[np.ndarray], np.ndarray]:
    """A ridge from v back to n(h): the loss on the way into the shared space, without any text."""
    space = opened_space(encoders, anchor=spec.anchor, centring=spec.centring)

    def encoded(h_ND: np.ndarray) -> np.ndarray:
        return space.v_of(spec.host_tag, h_ND).astype(np.float64)

    return _ridge(encoded, documents, fit_ND, fit_ND, spec)


def word_readers(
    said: Rebuilt, documents: Sequence[str], fit_ND: np.ndarray, spec: ScoreSpec
) -> dict[Predictor, Read]:
    """Readings of an explanation without an AR, from its words to n(h)."""
    # The AV's own texts of `fit`, as the decoder has them: both are fitted to the same words.
    good = np.flatnonzero(has_direction(fit_ND))
    n_ND = rescale(fit_ND[good])
    readers = fit_word_readers(
        [said.rows[place].explanation or "" for place in good],
        lambda part: n_ND[part],
        folds_of((documents[place] for place in good.tolist()), spec.ridge.num_folds),
        spec.ridge,
        most=spec.most_words,
        seed=spec.seed,
    )
    return {Predictor(name): read for name, read in readers.items()}


def _ridge(
    features: Callable,
    documents: Sequence[str],
    sources: Any,
    fit_ND: np.ndarray,
    spec: ScoreSpec,
) -> Callable:
    is_good_N = has_direction(fit_ND)

    def blocks() -> Iterator[Block]:
        for part in row_blocks(len(documents)):
            # Features of the whole block, then the good rows: `sources` may be a list of texts.
            good = np.flatnonzero(is_good_N[part])
            fold_B = folds_of(documents[part], spec.ridge.num_folds)
            yield features(sources[part])[good], rescale(fit_ND[part][good]), fold_B[good]

    chosen = fit_blocks(blocks(), spec.ridge)
    return lambda new: chosen(features(new))
