"""What a linear map from the words of an explanation would rebuild: the AR must be worth more.

Fitted on the rows that the AR learned from, scored on the `dev` rows that it was looked at by.
"""

from collections.abc import Mapping

import numpy as np

from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.geometry import unit
from interlingua.core.linear import fit
from interlingua.core.moments import FoldMoments, fold_of
from interlingua.specs.splits import Split
from interlingua.specs.training import ArTraining
from interlingua.stages.sft.ar import Targets, opened_targets
from interlingua.store.artifact import Artifact
from interlingua.store.explanations import read_explanations
from interlingua.store.splits import SplitAccess

BLOCK_ROWS = 512


def bag_of_words_errors(
    spec: ArTraining,
    inputs: Mapping[str, Artifact],
    columns: Mapping[str, np.ndarray],
    train: Targets,
    access: SplitAccess,
) -> np.ndarray:
    """The NMSE of the bag of words on the same rows as the AR's, in their order."""
    texts = read_explanations(inputs["explanations"].path, {Split.AR_SFT}, access)
    dev_texts = read_explanations(inputs["dev_explanations"].path, {Split.DEV}, access)
    dev = opened_targets(spec, inputs, "dev", Split.DEV, access)
    weights = train.weights(spec.ar.seed)
    every_text = (text for samples in texts.values() for text in samples)
    words = BagOfWords(every_text, most=spec.most_words)
    folds = FoldMoments.empty(words.num_words, train.width, num_folds=spec.ridge.num_folds)
    rows = [(key, text) for key in train.keys if key in texts for text in texts[key]]
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        v_of = train.of([key for key, _ in block])
        # The same pull of all hosts that the AR feels.
        pull_NE = sum(weights[tag] * unit(v_NE) for tag, v_NE in v_of.items())
        fold_N = np.array([fold_of(key[0], spec.ridge.num_folds) for key, _ in block])
        folds.add(words.counts([text for _, text in block]), np.asarray(pull_NE), fold_N)
    predict = fit(folds, strengths=spec.ridge.strengths, centred=True)
    errors_N = np.empty(len(columns["host"]))
    for tag in spec.host_tags:
        mine = np.flatnonzero(columns["host"] == tag)
        pairs = zip(columns["passage_id"][mine], columns["position"][mine], strict=True)
        keys = [(str(passage_id), int(position)) for passage_id, position in pairs]
        predicted_NE = predict(words.counts([dev_texts[key][0] for key in keys]))
        gold_NE = unit(dev.of(keys)[tag])
        errors_N[mine] = 2 * (1 - np.einsum("ne,ne->n", unit(predicted_NE), gold_NE))
    return errors_N
