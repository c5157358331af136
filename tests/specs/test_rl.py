"""What reinforcement learning may be asked: every wrong value is named with what is allowed."""

from dataclasses import replace

import pytest
from tests.specs.small_rl import LEARNER, SPEC

from interlingua.recipes.world import world_mini
from interlingua.specs.rl import CollapseGates, Contrast, LogError, RlTraining, ScaledError
from interlingua.specs.text.canonical import canonical_json, jsonable
from interlingua.specs.text.recorded import from_jsonable


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"group_size": 1}, "RlSpec.group_size is 1; it must be at least 2"),
        ({"tag": "a b"}, "RlSpec.tag is 'a b'; use letters"),
        ({"num_steps": 0}, "RlSpec.num_steps is 0; it must be positive"),
        ({"activations_per_step": 0}, "RlSpec.activations_per_step is 0"),
        ({"max_new_tokens": 0}, "RlSpec.max_new_tokens is 0"),
        ({"clip_ratio": 0.0}, "RlSpec.clip_ratio is 0.0"),
        ({"kl_coef": -0.1}, "RlSpec.kl_coef is -0.1; it must be zero or more"),
        ({"advantage_floor": -1.0}, "RlSpec.advantage_floor is -1.0"),
        ({"failure_reward": 0.0}, "RlSpec.failure_reward is 0.0; it must be negative"),
        ({"max_skipped_share": 2.0}, "RlSpec.max_skipped_share is 2.0; .* between 0 and 1"),
        ({"av": None, "ar": None}, "RlSpec.av and RlSpec.ar are both none"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(change, said):
    with pytest.raises(ValueError, match=said):
        replace(SPEC, **change)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(SPEC.watch, dev_samples=1), "RlWatch.dev_samples is 1"),
        (lambda: replace(SPEC.watch, max_kl_per_token=0.0), "RlWatch.max_kl_per_token is 0.0"),
        (lambda: replace(SPEC.watch, max_log_ratio=0.0), "RlWatch.max_log_ratio is 0.0"),
        (lambda: replace(SPEC.watch, min_delta=-0.1), "RlWatch.min_delta is -0.1"),
        (lambda: Contrast(share=1.5, temperature=0.1), "Contrast.share is 1.5"),
        (lambda: Contrast(share=0.5, temperature=0.0), "Contrast.temperature is 0.0"),
        (lambda: replace(LEARNER, dtype="float8"), "OptimSpec.dtype is 'float8'; allowed"),
        (
            lambda: CollapseGates(
                least_unique_share=1.2,
                least_distinct_words=0.8,
                most_added_failures=0.1,
                least_gap_share=0.5,
            ),
            "CollapseGates.least_unique_share is 1.2",
        ),
    ],
)
def test_so_is_one_of_its_parts(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    "reward", [ScaledError(), LogError(), Contrast(share=0.5, temperature=1.0)]
)
def test_a_recorded_spec_is_read_back(reward):
    recipe = world_mini()
    tags = recipe.learning_tags()
    spec = RlTraining(
        rl=replace(SPEC, reward=reward, ar=None),
        av=recipe.av,
        ar=recipe.ar,
        anchor=recipe.anchor,
        host_tags=tags,
    )
    assert from_jsonable(RlTraining, jsonable(spec)) == spec
    assert canonical_json(spec) == canonical_json(from_jsonable(RlTraining, jsonable(spec)))
