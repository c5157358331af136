"""The AR's control is bounded whatever the texts, and its failure costs no step of training."""

import os
from dataclasses import replace

import numpy as np
import pytest
from tests.built import built_inputs

from interlingua.cluster.local import LocalPool, LocalTrainer, local_context
from interlingua.core.bag_of_words import BagOfWords
from interlingua.core.moments import FoldMoments
from interlingua.recipes.world import world_mini
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft import word_readers
from interlingua.stages.sft.best_weights import BEST, WEIGHTS_NAME
from interlingua.stages.sft.checkpoints import CHECKPOINTS
from interlingua.store.artifact import build, find, folder
from interlingua.store.partial import latest_folder
from interlingua.store.rows.splits import SplitAccess

pytestmark = pytest.mark.slow

NUM_WORDS = 20_000


@pytest.fixture(scope="module")
def stage():
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "ar")
    return stage


@pytest.fixture
def own_root(mini_root, tmp_path):
    """A root that shares everything before training."""
    for path in mini_root.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


class Counting(LocalTrainer):
    """Notes every step that is trained."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def fit(self, make, job, place):
        def counting(job):
            program = make(job)
            real = program.micro_batches

            def micro_batches(step, share):
                self.steps.append(step)
                return real(step, share)

            program.micro_batches = micro_batches
            return program

        super().fit(counting, job, place)


def test_real_texts_have_words_without_end_and_the_moments_a_bound(stage, mini_root, monkeypatch):
    """Moments take the square of the words: of 20,000 they are 16 GB."""
    words = [f"word{number}" for number in range(NUM_WORDS)]
    real, widths = FoldMoments.empty, []

    def spoken(path, splits, access):
        keys = real_texts(path, splits, access)
        shares = np.array_split(np.array(words), len(keys))
        return {key: [" ".join(share)] for key, share in zip(keys, shares, strict=True)}

    def empty(num_features, width, *, num_folds):
        widths.append(num_features)
        return real(num_features, width, num_folds=num_folds)

    real_texts = word_readers.read_explanations
    monkeypatch.setattr(word_readers, "read_explanations", spoken)
    monkeypatch.setattr(FoldMoments, "empty", empty)
    spec = replace(stage.spec, most_words=300)
    inputs = built_inputs(stage, mini_root)
    access = SplitAccess({Split.AR_SFT, Split.DEV})
    train = word_readers.opened_targets(spec, inputs, Split.AR_SFT, access)
    dev = word_readers.opened_targets(spec, inputs, Split.DEV, access)
    keys = [key for key in dev.keys[:8] for _ in spec.host_tags]
    columns = {
        "host": np.array(list(spec.host_tags) * 8),
        "passage_id": np.array([key[0] for key in keys]),
        "position": np.array([key[1] for key in keys]),
    }
    errors = word_readers.word_reader_errors(spec, inputs, columns, train, access)
    assert all(np.isfinite(errors_N).all() for errors_N in errors.values())
    assert widths == [300, 300]


def test_the_cap_leaves_fewer_words_as_they_are():
    texts = ["a b", "b c"]
    whole, capped = BagOfWords(texts), BagOfWords(texts, most=2000)
    np.testing.assert_array_equal(whole.counts(texts), capped.counts(texts))


def test_a_control_that_fails_leaves_the_training_as_it_was(
    stage, own_root, mini_nla_root, monkeypatch
):
    trainer = Counting()
    context = local_context(world_mini().placement, LocalPool(), trainer)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(
            word_readers, "word_reader_errors", lambda *_: (_ for _ in ()).throw(MemoryError())
        )
        build(stage, own_root, context)
    assert trainer.steps == list(range(12))
    partial = latest_folder(folder(stage, own_root))
    assert os.listdir(partial / CHECKPOINTS) == ["8"] and os.listdir(partial / BEST)
    trainer.steps.clear()
    artifact = build(stage, own_root, context)
    assert trainer.steps == list(range(8, 12))
    whole = find(stage, mini_nla_root)
    assert (artifact.path / WEIGHTS_NAME).read_bytes() == (whole.path / WEIGHTS_NAME).read_bytes()
    assert artifact.record.metrics == whole.record.metrics
    assert not (artifact.path / CHECKPOINTS).exists() and not (artifact.path / BEST).exists()
