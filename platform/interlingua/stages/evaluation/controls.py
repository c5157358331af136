"""Texts that rows are predicted from although the AV did not write them about these rows.

N rows, of K activations. Knows no model and no error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from interlingua.core.metrics import derangement, within_groups
from interlingua.specs.evaluation import Predictor, ScoreSpec
from interlingua.specs.generation import TEXT_PREDICTORS
from interlingua.specs.splits import Split
from interlingua.stages.evaluation.inputs import ScoreInputs
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, documents_of
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Rebuilt, read_verbalized


def texts_of_no_av(
    spec: ScoreSpec, inputs: ScoreInputs[Artifact], access: SplitAccess
) -> dict[Predictor, Rebuilt]:
    """The texts that no AV wrote, those of the nearest rows among them."""
    found = {
        predictor: read_verbalized(inputs.reconstructed.path, spec.split, predictor, access)
        for predictor in TEXT_PREDICTORS
    }
    if inputs.nearest is not None:
        nearest = Predictor.NEAREST_EXPLANATION
        found[nearest] = read_verbalized(inputs.nearest.path, spec.split, nearest, access)
    return found


def fit_documents(
    said: Rebuilt, inputs: ScoreInputs[Artifact], access: SplitAccess
) -> Sequence[str]:
    """The document of every text of `fit`."""
    ids = [passage_id for passage_id, _ in said.keys]
    documents = documents_of(inputs.passages.path / PASSAGES_NAME, ids, Split.FIT, access)
    return [documents[passage_id] for passage_id in ids]


def of_other_rows(
    sampled: Rebuilt, documents: Mapping[str, str], *, seed: int
) -> dict[Predictor, Rebuilt]:
    """Every row with a sampled text of another document, and with one of its own document.

    The second has the rows whose documents have several; it is missing where none has.
    """
    documents_N = np.array([documents[passage_id] for passage_id, _ in sampled.keys])
    other_N = derangement(documents_N, seed=seed)
    found = {Predictor.SHUFFLED_EXPLANATIONS: _instead(sampled, np.arange(len(other_N)), other_N)}
    if pairs := _pairs_within(sampled, documents, seed=seed):
        places, others = np.array(pairs).T
        found[Predictor.SAME_DOCUMENT] = _instead(sampled, places, others)
    return found


def _pairs_within(
    sampled: Rebuilt, documents: Mapping[str, str], *, seed: int
) -> list[tuple[int, int]]:
    """The places of rows, and of the text of another row of the same document in the same draw."""
    keys = list(dict.fromkeys(sampled.keys))
    other_K = within_groups(np.array([documents[key[0]] for key in keys]), seed=seed)
    other = {key: keys[at] for key, at in zip(keys, other_K, strict=True) if at >= 0}
    drawn = [(key, row.sample) for key, row in zip(sampled.keys, sampled.rows, strict=True)]
    place = {one: index for index, one in enumerate(drawn)}
    return [
        (place[key, sample], place[other[key], sample])
        for key, sample in drawn
        if key in other and (other[key], sample) in place
    ]


def _instead(rebuilt: Rebuilt, places: np.ndarray, others: np.ndarray) -> Rebuilt:
    """The rows at these places, each with the text of another row."""
    return Rebuilt(
        [rebuilt.keys[place] for place in places],
        # It takes the row's own sample number: the pair is of that draw.
        [
            replace(rebuilt.rows[other], sample=rebuilt.rows[place].sample)
            for place, other in zip(places, others, strict=True)
        ],
        rebuilt.a_NE[others],
    )
