"""From a supervised pair to a reinforced one with maps of its own."""

from collections.abc import Mapping
from typing import NamedTuple

from interlingua.specs.recipe import Recipe
from interlingua.specs.rl import RlSpec, RlTraining
from interlingua.specs.splits import Split
from interlingua.stages.graph.hosts import rows_stage
from interlingua.stages.graph.nla import Maps, Pair, maps_stages
from interlingua.stages.maps.encoder import HostRows
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.rl.job import RlHost, RlInputs
from interlingua.stages.rl.stage import rl_stage
from interlingua.store.artifact import Stage


class RlStages(NamedTuple):
    """Rows of split `rl` by host, and the passages, from which every run of the recipe learns."""

    passages: Stage
    rows: Mapping[str, Stage]


def rl_rows(recipe: Recipe, hosts: Mapping[str, Stage], passages: Stage) -> RlStages:
    """The rows that reinforcement learning asks about, of the hosts that make the space."""
    return RlStages(
        passages,
        {
            tag: rows_stage(recipe, tag, hosts[tag], passages, (Split.RL,))
            for tag in recipe.mapped_tags()
        },
    )


def rl_stages(
    recipe: Recipe,
    run: RlSpec,
    maps: Maps,
    hosts: Mapping[str, Stage],
    rows: Mapping[str, HostRows[Stage]],
    learning: RlStages,
) -> tuple[tuple[Stage, ...], Maps]:
    """The reinforced pair and its maps, inputs first.

    Encoders stay; decoders are fitted anew, because the pair's texts have changed.
    """
    spec = RlTraining(
        rl=run,
        av=recipe.av,
        ar=recipe.ar,
        anchor=recipe.anchor,
        # The hosts that the pair learned from; held-out hosts stay unseen here, too.
        host_tags=recipe.learning_tags(),
    )
    models = maps.pair.trained
    of_hosts = {
        tag: RlHost(own, rows[tag].fit, rows[tag].dev, maps.encoders[tag])
        for tag, own in learning.rows.items()
    }
    # Read for what is true of them alone.
    inputs = RlInputs(models, learning.passages if recipe.has_truth else None, of_hosts)
    reinforced = rl_stage(spec, inputs, run.tag)
    # One artifact stands for both models: they were trained together, step by step.
    pair = Pair(PairInputs(models.trunk, reinforced, reinforced), run.tag)
    stages, again = maps_stages(recipe, pair, hosts, rows, maps.encoders)
    return (reinforced, *stages), again
