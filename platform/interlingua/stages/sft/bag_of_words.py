"""A control of the AR: a linear map from the words of an explanation, which the AR must beat.

Fitted on the rows that the AR learned from, scored on the `dev` rows of the AR's evaluation.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.geometry import unit
from interlingua.core.linear import fit_blocks
from interlingua.core.moments import Block, folds_of, row_blocks
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining
from interlingua.stages.sft.ar import Targets, opened_targets
from interlingua.stages.sft.job import LearningInputs
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.splits import SplitAccess


def bag_of_words_errors(
    spec: ArTraining,
    inputs: LearningInputs[Artifact],
    columns: Mapping[str, np.ndarray],
    train: Targets,
    access: SplitAccess,
) -> np.ndarray:
    """The NMSE of the bag of words on the rows of `columns`, in their order."""
    texts = read_explanations(inputs.explanations.path, {Split.AR_SFT}, access)
    dev_texts = read_explanations(inputs.dev_explanations.path, {Split.DEV}, access)
    dev = opened_targets(spec, inputs, Split.DEV, access)
    weights = train.weights()
    every_text = (text for samples in texts.values() for text in samples)
    words = BagOfWords(every_text, most=spec.most_words)
    rows = [(key, text) for key in train.keys if key in texts for text in texts[key]]

    def blocks() -> Iterator[Block]:
        for part in row_blocks(len(rows)):
            keys, said = zip(*rows[part], strict=True)
            # The target of the AR's own loss: the weighted sum of the directions of all hosts.
            pull_NE = sum(weights[tag] * unit(v_NE) for tag, v_NE in train.of(keys).items())
            fold_N = folds_of((key[0] for key in keys), spec.ridge.num_folds)
            yield words.counts(said), np.asarray(pull_NE), fold_N

    predict = fit_blocks(blocks(), spec.ridge)
    errors_N = np.empty(len(columns["host"]))
    for tag in spec.host_tags:
        mine = np.flatnonzero(columns["host"] == tag)
        pairs = zip(columns["passage_id"][mine], columns["position"][mine], strict=True)
        keys = [(str(passage_id), int(position)) for passage_id, position in pairs]
        predicted_NE = predict(words.counts([dev_texts[key][0] for key in keys]))
        gold_NE = unit(dev.of(keys)[tag])
        # NMSE is of directions: the scale of the weighted sum that was fitted cancels out.
        errors_N[mine] = 2 * (1 - np.einsum("ne,ne->n", unit(predicted_NE), gold_NE))
    return errors_N
