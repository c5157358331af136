"""What a command line asks for is one run, named by what it changes."""

import argparse
from dataclasses import replace

from interlingua.commands.building.tracked_run import MOST_LETTERS, title, tracked_run
from interlingua.recipes.own import mine
from interlingua.recipes.world import demo, world_rl_ablation
from interlingua.specs.text.overrides import with_overrides
from interlingua.stages.graph.order import graph_of, needed_for


def of_demo(*overrides):
    return title(with_overrides(demo(), overrides), demo())


def test_the_name_has_what_differs_from_the_recipe_and_counts():
    assert of_demo() == "demo"
    same = f"av.num_steps={demo().av.num_steps}"
    assert of_demo(same, "placement.threads_per_worker=2") == "demo"
    assert of_demo("rl.num_steps=40") == "demo rl.rl.num_steps=40"
    assert of_demo("av.num_steps=7", "ar.num_steps=9") == "demo av.num_steps=7 ar.num_steps=9"


def test_where_too_much_differs_there_is_no_name():
    assert title(world_rl_ablation(), demo()) is None
    assert len(of_demo("av.num_steps=7", "ar.num_steps=9")) <= MOST_LETTERS


def test_however_far_a_recipe_is_built_it_is_one_run():
    arguments, stages = (
        argparse.Namespace(recipe="demo", placement=None, overrides=[]),
        graph_of(demo()),
    )
    whole, part = (
        tracked_run(demo(), chosen, arguments, None)
        for chosen in (stages, needed_for("encoder", stages))
    )
    assert whole.identity == part.identity and whole.identity.title == "demo"


def test_a_host_that_is_added_is_a_run_of_its_own():
    arguments, stages = (
        argparse.Namespace(recipe="demo", placement=None, overrides=[]),
        graph_of(demo()),
    )
    added = tracked_run(demo(), stages[:3], arguments, "mine")
    assert added.identity.title == "demo + mine"
    assert added.identity.name != tracked_run(demo(), stages, arguments, None).identity.name


def test_what_pinning_adds_is_no_change(tmp_path):
    path = tmp_path / "my.py"
    path.write_text("from interlingua.recipes.own import mine\n\nrecipe = mine\n")
    written = mine()
    (host,) = written.hosts
    as_if_pinned = replace(host, source=replace(host.source, num_blocks=4, source="/a/model"))
    recipe = replace(written, hosts=(as_if_pinned,))
    arguments = argparse.Namespace(recipe=str(path), placement=None, overrides=["av.num_steps=7"])
    assert tracked_run(recipe, (), arguments, None).identity.title == "mine av.num_steps=7"
