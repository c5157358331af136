"""Every recipe builds, validates, can be overridden, and keeps the identity of its stages.

The recorded fingerprints are made anew, when a change of identity is meant, by
`python -m tests.test_recipes > tests/recorded_fingerprints.json` in the root of the repository.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.published.hosts import UNIVERSAL_POOL, pool_host
from interlingua.recipes.registry import RECIPES, recipe_named
from interlingua.specs.hosts import HostRole
from interlingua.specs.placement import ThreeGroups
from interlingua.specs.recipe import Recipe
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.text.overrides import list_paths, with_overrides
from interlingua.stages.graph.order import graph_of, joined
from interlingua.world.stand_ins import WORLD_HOSTS, world_host

RECORDED = Path(__file__).with_name("recorded_fingerprints.json")
REPOSITORY = Path(__file__).parents[1]


def fingerprints(name: str) -> dict[str, str]:
    return {stage.name: stage.fingerprint for stage in graph_of(recipe_named(name))}


def digests(name: str) -> dict[str, str]:
    """One a kind, of the names and fingerprints of all its stages, in order."""
    of_kinds = defaultdict(list)
    for stage, fingerprint in fingerprints(name).items():
        of_kinds[stage.split("/")[0]].append(f"{stage} {fingerprint}")
    return {
        kind: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
        for kind, lines in of_kinds.items()
    }


MANY_STAGES = ("world_rl_ablation",)
PARAMS = [
    pytest.param(name, marks=pytest.mark.slow) if name in MANY_STAGES else name for name in RECIPES
]


@pytest.fixture(params=PARAMS)
def recipe(request) -> Recipe:
    return recipe_named(request.param)


def test_a_recipe_is_called_as_it_is_asked_for() -> None:
    for name in RECIPES:
        assert recipe_named(name).name == name
        assert (RECIPES[name].__doc__ or "").splitlines()[0].endswith(".")


def test_an_unknown_recipe_names_the_near_ones() -> None:
    with pytest.raises(ValueError, match="'world18'.*did you mean world_18"):
        recipe_named("world18")
    with pytest.raises(ValueError, match="there are: .*world_mini"):
        recipe_named("zzz")


def test_two_calls_return_the_same_recipe(recipe) -> None:
    assert recipe_named(recipe.name) == recipe
    assert canonical_json(recipe_named(recipe.name)) == canonical_json(recipe)


def test_every_stage_has_a_name_and_a_fingerprint_of_its_own(recipe) -> None:
    stages = graph_of(recipe)
    assert len({stage.name for stage in stages}) == len(stages)
    assert len({stage.fingerprint for stage in stages}) == len(stages)


def test_inputs_stand_before_the_stages_that_need_them(recipe) -> None:
    seen: set[str] = set()
    for stage in graph_of(recipe):
        assert {upstream.fingerprint for upstream in stage.upstream.values()} <= seen
        seen.add(stage.fingerprint)


def as_text(value: object) -> str:
    """The value as somebody would write it behind `--set path=`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def test_every_field_set_to_what_it_is_gives_the_same_recipe(recipe) -> None:
    overrides = [
        f"{path}={as_text(value)}"
        for path, _, value in list_paths(recipe)
        if not isinstance(value, tuple)  # names of hosts: set by nobody
    ]
    assert len(overrides) > 50
    same = with_overrides(recipe, overrides)
    assert same == recipe
    # an int in a field of floats is equal, but has another identity
    assert [s.fingerprint for s in graph_of(same)] == [s.fingerprint for s in graph_of(recipe)]


def test_one_step_more_of_a_held_out_host_changes_what_is_made_of_it_alone(recipe) -> None:
    tag = recipe.hosts[-1].tag
    steps = recipe.hosts[-1].source.pretrain.num_steps + 1
    changed = with_overrides(recipe, [f"hosts.{tag}.source.pretrain.num_steps={steps}"])
    before = {stage.name: stage.fingerprint for stage in graph_of(recipe)}
    after = {stage.name: stage.fingerprint for stage in graph_of(changed)}
    if not recipe.held_out:
        assert before != after
        return
    kinds = (
        *("host", "activations", "oracle", "encoder", "familiarity"),
        *("verbalized", "decoder", "likelihood", "scored"),
    )
    own = {name for name in before if name.split("/")[0] in kinds and f"/{tag}" in name}
    of_all = ("bundle", "methods", "evaluation", "report")
    whole = {name for name in before if name.split("/")[0] in of_all}
    assert {name for name in before if before[name] != after[name]} == own | whole


def test_a_run_of_reinforcement_learning_is_set_by_its_tag_or_where_it_is_alone_without() -> None:
    changed = with_overrides(recipe_named("world"), ["rl.num_steps=7", "rl.rl.kl_coef=0.5"])
    assert [(run.num_steps, run.kl_coef) for run in changed.rl] == [(7, 0.5)]
    ablation = with_overrides(recipe_named("world_rl_ablation"), ["rl.both-1.num_steps=7"])
    assert [run.tag for run in ablation.rl if run.num_steps == 7] == ["both-1"]
    with pytest.raises(ValueError, match="unknown setting rl.num_steps; did you mean .*rl.both-0"):
        with_overrides(ablation, ["rl.num_steps=7"])


def test_placement_and_name_change_no_fingerprint_but_that_of_the_page(recipe) -> None:
    elsewhere = replace(recipe, name="other", placement=replace(recipe.placement, cpus_per_stage=8))
    *rest, page = [stage.fingerprint for stage in graph_of(recipe)]
    *rest_elsewhere, page_elsewhere = [stage.fingerprint for stage in graph_of(elsewhere)]
    assert rest_elsewhere == rest
    assert page_elsewhere != page  # the name stands on it


def test_two_recipes_in_one_graph_share_what_is_equal_and_keep_apart_what_is_not() -> None:
    one = recipe_named("world_mini")
    other = with_overrides(one, ["av.injection.num_slots=2"])
    graphs = [graph_of(one), graph_of(other)]
    both = joined(graphs)
    assert {stage.key for stage in both} == {stage.key for graph in graphs for stage in graph}
    assert len(both) == len({stage.key for stage in both})
    by_name = Counter(stage.name for stage in both)
    assert by_name["av/sft"] == by_name["evaluation/world_mini"] == 2
    assert by_name["host/toy-qwen3-1p7b"] == by_name["ar/sft"] == by_name["encoder/toy-lfm-7b"] == 1


def test_what_is_made_of_one_world_is_shared_by_its_recipes() -> None:
    demo, whole = fingerprints("world"), fingerprints("world_18")
    made = {name for name in demo if demo[name] != whole.get(name)}
    # An encoder that comes later is fitted to all trained hosts, and those differ; so do the pair
    # and what it makes.
    assert {name for name in made if name.split("/")[0] == "encoder"} == {
        f"encoder/{tag}" for tag in recipe_named("world").held_out
    }
    later = {
        "encoder", "av", "ar", "rl", "verbalized", "decoder", "bundle", "reconstructed", "nearest",
        "likelihood", "scored", "methods", "evaluation", "report",
    }  # fmt: skip
    assert {name.split("/")[0] for name in made} == later


def test_roles_are_those_of_the_pool(recipe) -> None:
    roles = {host.tag: pool_host(host.source.stands_for).role for host in recipe.hosts}
    if recipe.name == "world_beliefs":  # a twin of a trained host is held out
        assert roles.pop(recipe.held_out[0]) is HostRole.TRAINED
        recipe = replace(recipe, hosts=recipe.hosts[:-1], held_out=())
    assert roles[recipe.anchor] is HostRole.ANCHOR
    assert {roles[tag] for tag in recipe.trained} <= {HostRole.TRAINED}
    # Of the small recipes that failures are made again on, the host that is held out was trained
    # in the pool: it is the cheapest one.
    pythia = {HostRole.TRAINED} if recipe.held_out == ("toy-pythia-410m",) else set()
    assert {roles[tag] for tag in recipe.held_out} <= {HostRole.HELD_OUT} | pythia
    assert [host.tag for host in recipe.hosts] == [
        recipe.anchor,
        *recipe.trained,
        *recipe.held_out,
    ]


def test_the_anchor_alone_reads_explanations(recipe) -> None:
    for host in recipe.hosts:
        assert (host.source.teacher is not None) == (host.tag == recipe.anchor)
        if host.source.teacher is not None:
            assert host.source.tokenizer.chat is not None


def test_the_demo_is_small_and_shows_the_platform() -> None:
    recipe = recipe_named("demo")
    assert len(recipe.hosts) <= 6 and len(recipe.held_out) == 1 and len(recipe.rl) == 1
    languages = {host.tag: host.source.second_language_share for host in recipe.hosts}
    foreign = languages.pop(recipe.held_out[0])
    assert foreign > 0.5 > max(languages.values())
    assert isinstance(recipe.placement.reinforcing, ThreeGroups)
    assert recipe.evaluation.accepts == ()
    kinds = {stage.kind for stage in graph_of(recipe)}
    assert kinds == {stage.kind for stage in graph_of(recipe_named("world"))}


def test_world_18_is_the_whole_pool() -> None:
    recipe = recipe_named("world_18")
    assert {host.source.stands_for for host in recipe.hosts} == {
        host.tag for host in UNIVERSAL_POOL
    }
    assert len(recipe.hosts) == 19
    assert (len(recipe.trained), len(recipe.held_out)) == (13, 5)


def test_every_host_of_the_pool_has_a_stand_in() -> None:
    assert {host.stands_for for host in WORLD_HOSTS.values()} == {h.tag for h in UNIVERSAL_POOL}
    for tag, host in WORLD_HOSTS.items():
        assert host.tag == tag == f"toy-{host.stands_for}"
    with pytest.raises(ValueError, match="tag is gpt2-medium; .* begins with toy-gpt2-medium"):
        replace(WORLD_HOSTS["toy-gpt2-medium"], tag="gpt2-medium")


def test_a_host_trains_on_rows_that_it_can_hold(recipe) -> None:
    for host in recipe.hosts:
        assert host.source.pretrain.num_tokens <= host.source.max_positions
        assert host.source.pretrain.warmup_steps < host.source.pretrain.num_steps


@pytest.mark.parametrize(
    "change",
    [{"trained": ()}, {"anchor": "toy-gpt2-medium"}, {"held_out": ("toy-lfm-7b", "toy-lfm-7b")}],
)
def test_parts_that_do_not_make_up_the_hosts_are_refused(change) -> None:
    with pytest.raises(ValueError, match="together they must name every host once"):
        replace(recipe_named("world_mini"), **change)


def test_a_host_named_twice_is_refused() -> None:
    recipe = recipe_named("world_mini")
    with pytest.raises(ValueError, match="names a tag twice"):
        replace(recipe, hosts=(*recipe.hosts, recipe.hosts[0]))


def test_an_unknown_world_host_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'gpt5'.*toy-gpt2-medium"):
        world_host("gpt5")


@pytest.mark.parametrize("name", RECIPES)
def test_stages_keep_their_recorded_fingerprints(name) -> None:
    recorded = json.loads(RECORDED.read_text())
    assert digests(name) == recorded[name]


def test_a_recipe_needs_neither_torch_nor_transformers_nor_ray() -> None:
    program = """
import sys
from interlingua.stages.graph.order import graph_of, joined
from interlingua.recipes.registry import RECIPES
stages = [graph_of(make()) for make in RECIPES.values()]
print(sorted({"torch", "transformers", "tokenizers", "ray"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": "platform"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


if __name__ == "__main__":
    print(json.dumps({name: digests(name) for name in RECIPES}, indent=2))
