"""The stages from a supervised pair to a reinforced one with maps of its own. Knows no loop."""

from collections.abc import Mapping

from interlingua.specs.placement import WorkKind
from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlSpec, RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.graph.hosts import HostRows, extraction_stage, reading_of
from interlingua.stages.graph.nla import Maps, Pair, maps_stages
from interlingua.stages.graph.runs import run_rl
from interlingua.store.artifact import Stage

Hosts = Mapping[str, Stage]


def learning_inputs(recipe: Recipe, hosts: Hosts, passages: Stage) -> dict[str, Stage]:
    """What every run of the recipe learns from: rows of the learning hosts, and the passages."""
    rows = {
        f"{tag}_rows": extraction_stage(
            hosts[tag], passages, reading_of(recipe, hosts[tag], (Split.RL,))
        )
        for tag in recipe.learning_tags()
    }
    return {"passages": passages, **rows}


def rl_stages(
    recipe: Recipe,
    run: RlSpec,
    maps: Maps,
    hosts: Hosts,
    rows: Mapping[str, HostRows],
    inputs: Mapping[str, Stage],
) -> tuple[tuple[Stage, ...], Maps]:
    """The pair, and its maps: what is fitted on texts is fitted again.

    `inputs` are the passages, and what is learned from.
    """
    reinforced = rl_stage(recipe, run, maps, rows, inputs)
    pair = Pair(maps.pair.trunk, reinforced, reinforced, run.tag)
    stages, again = maps_stages(recipe, pair, hosts, rows, maps.encoders)
    return (reinforced, *stages), again


def rl_stage(
    recipe: Recipe,
    run: RlSpec,
    maps: Maps,
    rows: Mapping[str, HostRows],
    inputs: Mapping[str, Stage],
) -> Stage:
    """Both models after reinforcement learning, in one artifact."""
    tags = recipe.learning_tags()
    of_hosts = {
        f"{tag}_{name}": stage
        for tag in tags
        for name, stage in (
            ("fit", rows[tag].fit), ("dev", rows[tag].dev), ("encoder", maps.encoders[tag]),
        )
    }  # fmt: skip
    return Stage(
        kind="rl",
        label=run.tag,
        spec=RlTraining(rl=run, av=recipe.av, ar=recipe.ar, anchor=recipe.anchor, host_tags=tags),
        run=run_rl,
        inputs={**maps.pair.models(), **inputs, **of_hosts},
        revision=5,
        work=WorkKind.REINFORCING,
    )
