"""The graph of an evaluation through a URL: the recipe's rows, the server's texts, its lineage."""

from dataclasses import replace

import pytest

from interlingua.recipes.parts import WORLD_RL
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.stages.graph.served import evaluation_of, served_stages

RECIPE = replace(world_mini(), rl=(replace(WORLD_RL, tag="a"), replace(WORLD_RL, tag="b", seed=1)))
BUNDLES = [stage for stage in graph_of(RECIPE) if stage.kind == "bundle"]


def of_kind(stages, kind):
    return [stage for stage in stages if stage.kind == kind]


def test_rows_and_controls_are_the_recipes_own():
    own = {stage.key for stage in graph_of(RECIPE)}
    stages = served_stages(RECIPE, "d", BUNDLES[0])
    added = {stage.kind for stage in stages if stage.key not in own}
    assert added == {
        "served", "verbalized", "reconstructed", "nearest", "decoder", "scored", "methods",
        "evaluation", "report",
    }  # fmt: skip


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_bundle_is_compared_with_what_its_own_training_began_with(number):
    stages = served_stages(RECIPE, "d", BUNDLES[number])
    *_, evaluation = of_kind(stages, "evaluation")
    in_process = evaluation_of(RECIPE, BUNDLES[number])
    assert evaluation.inputs.start == in_process.inputs.start
    assert (evaluation.inputs.start is None) == (number == 0)
    (served,) = of_kind(stages, "served")
    assert served.inputs.bundle == BUNDLES[number]


def test_of_a_bundle_from_elsewhere_no_model_is_trained():
    stages = served_stages(RECIPE, "d", None)
    assert not {"av", "ar", "rl", "bundle"} & {stage.kind for stage in stages}


def test_another_digest_is_another_evaluation_and_a_url_is_none():
    one, other = (served_stages(RECIPE, digest, None)[-1] for digest in ("d", "e"))
    assert one.fingerprint != other.fingerprint
