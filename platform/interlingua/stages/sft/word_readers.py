"""Controls of the AR: vectors from the words of an explanation, which the AR must beat.

Fitted on the rows that the AR learned from, scored on the `dev` rows of the AR's evaluation.
"""

from collections.abc import Mapping

import numpy as np

from interlingua.core.geometry import unit
from interlingua.core.moments import folds_of
from interlingua.core.word_readers import fit_word_readers
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining
from interlingua.stages.sft.ar import Targets, opened_targets
from interlingua.stages.sft.job import LearningInputs
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.splits import SplitAccess


def word_reader_errors(
    spec: ArTraining,
    inputs: LearningInputs[Artifact],
    columns: Mapping[str, np.ndarray],
    train: Targets,
    access: SplitAccess,
) -> dict[str, np.ndarray]:
    """The NMSE of every reader of words on the rows of `columns`, in their order."""
    texts = read_explanations(inputs.explanations.path, {Split.AR_SFT}, access)
    dev_texts = read_explanations(inputs.dev_explanations.path, {Split.DEV}, access)
    dev = opened_targets(spec, inputs, Split.DEV, access)
    weights = train.weights()
    rows = [(key, text) for key in train.keys if key in texts for text in texts[key]]

    def targets(part: slice) -> np.ndarray:
        # The target of the AR's own loss: the weighted sum of the directions of all hosts.
        of_hosts = train.of([key for key, _ in rows[part]])
        return np.asarray(sum(weights[tag] * unit(v_NE) for tag, v_NE in of_hosts.items()))

    readers = fit_word_readers(
        [text for _, text in rows],
        targets,
        folds_of((key[0] for key, _ in rows), spec.ridge.num_folds),
        spec.ridge,
        most=spec.most_words,
        seed=spec.ar.seed,
    )
    errors = {name: np.empty(len(columns["host"])) for name in readers}
    for tag in spec.host_tags:
        mine = np.flatnonzero(columns["host"] == tag)
        pairs = zip(columns["passage_id"][mine], columns["position"][mine], strict=True)
        keys = [(str(passage_id), int(position)) for passage_id, position in pairs]
        said = [dev_texts[key][0] for key in keys]
        target_NE = unit(dev.of(keys)[tag])
        for name, read in readers.items():
            # NMSE is of directions: the scale of the weighted sum that was fitted cancels out.
            errors[name][mine] = 2 * (1 - np.einsum("ne,ne->n", unit(read(said)), target_NE))
    return errors
