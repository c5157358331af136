"""The teacher's explanation of the nearest row of `av_sft`, found as a full product would."""

import numpy as np
import pytest
from tests.built import built_inputs

from interlingua.core.geometry import rescale, unit
from interlingua.recipes.registry import world_mini
from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.stages.graph.order import graph_of
from interlingua.stages.rows.keyed import opened_rows
from interlingua.store.artifact import find
from interlingua.store.maps import read_encoder
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.splits import LEDGER_NAME, SplitAccess, read_consumed
from interlingua.store.rows.verbalized import read_verbalized

pytestmark = pytest.mark.slow

TAG = "toy-gpt2-medium"
STAGES = {(stage.kind, stage.label): stage for stage in graph_of(world_mini())}
STAGE = STAGES["nearest", TAG]
ACCESS = SplitAccess({Split.AV_SFT, Split.TEST})


@pytest.fixture(scope="module")
def found(mini_nla_root):
    path = find(STAGE, mini_nla_root).path
    return read_verbalized(path, Split.TEST, Predictor.NEAREST_EXPLANATION, ACCESS)


@pytest.fixture(scope="module")
def inputs(mini_nla_root):
    return built_inputs(STAGE, mini_nla_root)


def test_each_row_has_the_text_of_the_row_that_is_nearest(found, inputs):
    explained = read_explanations(inputs.explanations.path, {Split.AV_SFT}, ACCESS)
    learned = opened_rows(inputs.learned, [Split.AV_SFT], ACCESS)
    keys = [key for key in learned.finite_keys() if key in explained]
    mean_D = read_encoder(inputs.encoder.path).mean_D
    about_MD = unit(rescale(learned.vectors(keys)) - mean_D)
    asking_ND = opened_rows(inputs.rows, [Split.TEST], ACCESS).vectors(found.keys)
    nearest_N = (unit(rescale(asking_ND) - mean_D) @ about_MD.T).argmax(axis=1)
    assert [row.text for row in found.rows] == [explained[keys[at]][0] for at in nearest_N]
    assert len(set(nearest_N)) > 3  # no single row is everybody's nearest


def test_it_is_of_the_rows_that_the_av_is_asked_about(found, mini_nla_root):
    texts = find(STAGES["verbalized", f"{TAG}-test"], mini_nla_root).path
    sampled = read_verbalized(texts, Split.TEST, Predictor.SAMPLED, ACCESS)
    assert set(found.keys) == set(sampled.keys) and len(found.keys) == 16


def test_equal_texts_have_equal_vectors_which_are_those_of_the_ar(found):
    assert np.isfinite(found.a_NE).all()
    by_text = {row.text: a_E for row, a_E in zip(found.rows, found.a_NE, strict=True)}
    for row, a_E in zip(found.rows, found.a_NE, strict=True):
        assert (by_text[row.text] == a_E).all()


def test_what_it_looked_into_is_noted(mini_nla_root):
    consumed = read_consumed(find(STAGE, mini_nla_root).path / LEDGER_NAME)
    assert consumed.keys() == {Split.AV_SFT, Split.TEST}


def test_a_held_out_host_has_none():
    assert {label for kind, label in STAGES if kind == "nearest"} == {*world_mini().learning_tags()}
    assert STAGES["scored", "toy-lfm-7b"].inputs.nearest is None
