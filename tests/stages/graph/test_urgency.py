"""What the first explanation needs comes first, and inputs before what is made of them."""

import pytest

from interlingua.recipes.registry import recipe_named
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.stages.graph.urgency import first_explanation_first


def ordered(name):
    return first_explanation_first(graph_of(recipe_named(name)))


@pytest.mark.parametrize("name", ["demo", "world", "world_token", "world_mini"])
def test_the_order_has_every_stage_once_behind_its_inputs(name):
    stages = ordered(name)
    assert {stage.key for stage in stages} == {s.key for s in graph_of(recipe_named(name))}
    seen = set()
    for stage in stages:
        assert {upstream.key for upstream in stage.upstream.values()} <= seen
        seen.add(stage.key)
    assert len(seen) == len(stages)


@pytest.mark.parametrize("name", ["demo", "world"])
def test_nothing_that_the_first_explanation_does_without_stands_before_it(name):
    recipe, stages = recipe_named(name), ordered(name)
    first = next(n for n, stage in enumerate(stages) if stage.kind == "verbalized")
    needed = {stage.key for stage in needed_for("verbalized", [stages[first]])}
    assert {stage.key for stage in stages[: first + 1]} == needed
    held_out = {f"host/{tag}" for tag in recipe.held_out}
    later = [stage for stage in stages[first + 1 :] if stage.name in held_out]
    assert {stage.name for stage in later} == held_out


def test_of_what_the_first_explanation_needs_the_longest_way_begins():
    names = [stage.name for stage in ordered("demo")]
    assert names[:2] == ["passages/world", "host/toy-qwen3-1p7b"]
    assert names.index("host/toy-gpt2-medium") < names.index("activations/toy-qwen3-1p7b-fit")
    assert (
        names.index("av/sft") < names.index("ar/sft") < names.index("verbalized/toy-qwen3-1p7b-fit")
    )


def test_behind_it_what_is_trained_begins_before_what_is_evaluated():
    names = [stage.name for stage in ordered("demo")]
    assert names.index("host/toy-rugpt3-large") < names.index("rl/rl")
    assert names.index("rl/rl") < names.index("verbalized/toy-gpt2-medium-test")
    assert names[-1] == "report/demo"


def test_a_graph_that_explains_nothing_is_ordered_too():
    graph = needed_for("encoder", graph_of(recipe_named("world_mini")))
    stages = first_explanation_first(graph)
    assert {stage.key for stage in stages} == {stage.key for stage in graph}
    assert stages[0].kind == "passages" and stages[-1].kind == "encoder"
