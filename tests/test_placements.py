"""Every recipe runs at every named place, as the same stages, which ask for all that they use."""

import ast
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.cluster.asked import asked, device_of
from interlingua.commands.command_line import chosen, parser
from interlingua.published.hosts import pool_host
from interlingua.recipes.parts import WORLD_LORA
from interlingua.recipes.placements import PLACEMENTS, placed_at
from interlingua.recipes.registry import PUBLISHED, RECIPES, recipe_named
from interlingua.specs.models import HubHost
from interlingua.specs.placement import Single, ThreeGroups
from interlingua.specs.recipe import Recipe
from interlingua.specs.teachers import LocalTeacher, Prompt
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import Stage

STAGES = Path(__file__).parents[1] / "platform" / "interlingua" / "stages"
MANY_STAGES = ("world_rl_ablation",)
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in MANY_STAGES else name
    for name in (*RECIPES, *PUBLISHED)
]
GIB = 2**30


def at(name: str, recipe: Recipe) -> Recipe:
    return replace(recipe, placement=placed_at(name, recipe.placement))


def resources(stage: Stage, recipe: Recipe) -> tuple[float, float]:
    """GPUs of the stage's own process, and of all its workers."""
    found = asked(stage, recipe.placement)
    return found.own.gpus, sum(one.count * one.gpus for one in found.workers)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_the_same_stages_at_every_place(name) -> None:
    recipe = recipe_named(name)
    own = [(stage.name, stage.fingerprint) for stage in graph_of(recipe)]
    assert own
    for place in PLACEMENTS:
        moved = at(place, recipe)
        stages = graph_of(moved)
        assert [(stage.name, stage.fingerprint) for stage in stages] == own
        # and every stage can be asked what it takes there
        assert all(asked(stage, moved.placement).run for stage in stages)


@pytest.mark.parametrize("name", PLACEMENTS)
def test_a_place_is_called_by_its_name_and_says_what_it_is(name) -> None:
    place = PLACEMENTS[name]()
    assert place.name == name and PLACEMENTS[name]() == place
    assert (PLACEMENTS[name].__doc__ or "").splitlines()[0].endswith(".")
    help_text = parser("jobs.run", "").format_help()
    assert f"{name} " in help_text.partition("placements:\n")[2]


def arguments(place, *overrides):
    return Namespace(recipe="world_mini", placement=place, overrides=list(overrides))


def test_a_named_place_leaves_addresses_as_they_are_and_overrides_come_after_it() -> None:
    own = replace(recipe_named("world_mini").placement, teaching=TEACHING)
    assert placed_at("one_gpu", own).teaching is TEACHING
    found = chosen(
        arguments(
            "two_nodes", "placement.reinforcing.av.batch_rows=7", "placement.cpus_per_stage=3"
        )
    )
    assert found.placement.name == "two_nodes"
    assert found.placement.reinforcing.av.batch_rows == 7
    assert found.placement.cpus_per_stage == 3
    assert chosen(arguments(None)) == recipe_named("world_mini")


TEACHING = replace(recipe_named("world_mini").placement.teaching, url="http://127.0.0.1:1")


def test_a_place_that_is_not_there_is_refused_with_those_that_are(capsys) -> None:
    with pytest.raises(SystemExit):
        parser("jobs.run", "").parse_args(["world", "--placement", "moon"])
    error = capsys.readouterr().err
    assert "'moon'" in error and all(name in error for name in PLACEMENTS)


USES_A_MODEL = (
    "activations", "verbalized", "likelihood", "reconstructed", "nearest", "av", "ar", "rl",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACEMENTS)
def test_stages_that_use_a_card_ask_for_it_and_no_others_do(place) -> None:
    recipe = at(place, recipe_named("world"))
    asking = {}
    for stage in graph_of(recipe):
        asking.setdefault(stage.kind, set()).add(sum(resources(stage, recipe)) > 0)
    assert set(USES_A_MODEL) <= asking.keys()
    expected = () if place == "laptop" else USES_A_MODEL
    assert {kind: found == {True} for kind, found in asking.items()} == {
        kind: kind in expected for kind in asking
    }
    assert all(len(found) == 1 for found in asking.values())


def test_a_stage_that_has_workers_holds_no_card_itself() -> None:
    recipe = at("eight_gpus", recipe_named("world"))
    for stage in graph_of(recipe):
        own, workers = resources(stage, recipe)
        assert not (own and workers)
        if stage.kind in ("reconstructed", "nearest"):  # they have no workers to give it to
            assert own == 1


@pytest.mark.parametrize(("place", "own", "workers"), [("one_gpu", 1, 0), ("eight_gpus", 0, 8)])
def test_a_teacher_that_runs_here_asks_for_its_card(place, own, workers) -> None:
    recipe = recipe_named("world_mini")
    teacher = LocalTeacher(source="of/someone", revision="a" * 40, prompt=Prompt(user="{text}"))
    taught = at(place, replace(recipe, av_lessons=replace(recipe.av_lessons, teacher=teacher)))
    found = {
        resources(stage, taught) for stage in graph_of(taught) if stage.kind == "explanations"
        and stage.spec.teacher == teacher
    }  # fmt: skip
    assert found == {(own, workers)}


def test_a_device_by_its_number_is_refused_because_ray_deals_them_out() -> None:
    recipe = at("one_gpu", recipe_named("world_mini"))
    place = replace(
        recipe.placement, extraction=replace(recipe.placement.extraction, device="cuda:1")
    )
    reading = next(stage for stage in graph_of(recipe) if stage.kind == "activations")
    with pytest.raises(ValueError, match="names device cuda:1; .* name cuda"):
        asked(reading, place)


def takes_a_device(function: ast.FunctionDef) -> bool:
    """Whether a function reads a part of the placement that has a device."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("extraction", "training", "verbalizing", "reinforcing")
        and ast.unparse(node.value).endswith(("placement", "place"))
        for node in ast.walk(function)
    )


def test_no_stage_takes_a_device_without_saying_so() -> None:
    """Of every file that makes a stage: what reads the placement declares whose device it is."""
    silent, found = [], 0
    for path in STAGES.rglob("*.py"):
        tree = ast.parse(path.read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        made = [
            {keyword.arg for keyword in node.keywords}
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Stage"
        ]
        if made and any(takes_a_device(one) for one in functions):
            found += 1
            silent += [str(path)] if any("device" not in names for names in made) else []
    assert found >= 8
    assert [Path(one).stem for one in silent] == ["served"]  # it asks a URL


def large(recipe: Recipe, tag: str) -> Recipe:
    """The recipe on a published model in place of its anchor, and other sizes with it."""
    published = pool_host(tag)
    hosts = tuple(
        replace(
            host, source=HubHost(tag=host.tag, source=published.hub_id, revision="0" * 40),
            block=published.block,
        )
        if host.tag == recipe.anchor else host
        for host in recipe.hosts
    )  # fmt: skip
    return replace(recipe, hosts=hosts)


def memory_of_kinds(recipe: Recipe) -> dict[str, int]:
    """The most that a process of each kind of stage asks for."""
    found: dict[str, int] = {}
    for stage in graph_of(recipe):
        one = asked(stage, recipe.placement)
        most = max((each.memory or 0) for each in (one.own, *one.workers))
        found[stage.kind] = max(found.get(stage.kind, 0), most)
    return found


@pytest.mark.parametrize("name", ["world", "world_18", "demo", "world_token"])
def test_what_is_small_asks_for_no_memory(name) -> None:
    recipe = recipe_named(name)
    assert set(memory_of_kinds(recipe).values()) == {0}


def test_what_is_heavy_asks_for_memory_by_its_sizes() -> None:
    recipe = recipe_named("world_token")
    mini = large(recipe, "qwen3-8b")
    found = memory_of_kinds(mini)
    whole = 4 * 8.19e9  # its parameters, in fp32
    assert found["activations"] == pytest.approx(whole + GIB, rel=0.02)
    assert found["av"] > 4 * whole  # fp32: weights, gradients and two moments
    assert found["bundle"] > whole
    # d = 4096: seven times xx and xy, three matrices for the eigenvectors, in fp64
    assert found["decoder"] == pytest.approx(8 * 4096**2 * 17 + GIB, rel=0.01)
    assert found["passages"] == found["explanations"] == found["report"] == 0
    on_card = memory_of_kinds(at("eight_gpus", mini))
    assert on_card["activations"] == 0 and on_card["av"] < found["av"]


def test_what_nobody_can_weigh_counts_for_nothing_and_stops_nobody() -> None:
    recipe = large(recipe_named("world_token"), "qwen3-8b")
    lora = replace(WORLD_LORA, targets=("no_such_layer",))
    odd = replace(recipe, av=replace(recipe.av, lora=lora))
    training = next(stage for stage in graph_of(odd) if stage.kind == "av")
    assert [one.memory for one in asked(training, odd.placement).workers] == [0]


def test_a_machine_of_our_own_is_used_as_it_is() -> None:
    """What is estimated is cut to what is there, and all processes of a stage fit together."""
    recipe = large(recipe_named("world_token"), "qwen3-8b")
    groups = at("eight_gpus", recipe).placement.reinforcing
    assert isinstance(groups, ThreeGroups)
    roles = {
        name: replace(role, device="cpu", workers=replace(role.workers, gpus=0, count=1))
        for name, role in groups.roles().items()
    }
    for place in (
        recipe.placement,
        replace(recipe.placement, reinforcing=replace(groups, **roles)),
    ):
        for stage in graph_of(recipe):
            found = asked(stage, place, most_memory=16 * GIB)
            assert sum(one.count * (one.memory or 0) for one in found.run) <= 16 * GIB


def test_memory_that_a_placement_names_is_not_estimated() -> None:
    recipe = recipe_named("world")
    place = recipe.placement
    named = replace(place.training.workers, memory=5 * GIB)
    place = replace(place, training=replace(place.training, workers=named))
    training = next(stage for stage in graph_of(recipe) if stage.kind == "av")
    assert [one.memory for one in asked(training, place).workers] == [5 * GIB]
    own = replace(place, memory_per_stage=3 * GIB)
    bundle = next(stage for stage in graph_of(recipe) if stage.kind == "bundle")
    assert asked(bundle, own).own.memory == 3 * GIB


def test_roles_of_one_process_are_on_its_device() -> None:
    recipe = at("one_gpu", recipe_named("world"))
    assert isinstance(recipe.placement.reinforcing, Single)
    reinforcing = next(stage for stage in graph_of(recipe) if stage.kind == "rl")
    assert device_of(reinforcing, recipe.placement) == "cuda"
    assert asked(reinforcing, recipe.placement).run[0].gpus == 1
