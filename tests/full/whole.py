"""A recipe in miniature that has every kind of stage, and the root that it builds undisturbed."""

from dataclasses import replace
from pathlib import Path

from tests.specs.small_rl import SPEC

from interlingua.cluster.local import LocalBackend, local_context
from interlingua.recipes.world import world_mini
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import added_host_stages, graph_of
from interlingua.stages.running.console import ConsoleWatcher
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Stage

SMALL_BLOCKS = 5


def whole_mini() -> Recipe:
    """World_mini with encoders that are trained and a pair that is reinforced, in small blocks."""
    mini = world_mini()
    optim = replace(mini.av.optim, learning_rate=1e-2)
    watch = replace(mini.av.watch, validate_every=50, checkpoint_every=20)
    place = mini.placement
    return replace(
        mini,
        name="whole_mini",
        av=replace(
            mini.av,
            lora=None,
            num_steps=100,
            batch_rows=16,
            optim=optim,
            watch=watch,
            encoder_learning_rate=1e-3,
        ),
        rl=(replace(SPEC, max_new_tokens=30),),
        placement=replace(
            place,
            extraction=replace(place.extraction, block_passages=20),
            verbalizing=replace(place.verbalizing, block_rows=SMALL_BLOCKS),
        ),
    )


def context() -> Context:
    """Everything in this process."""
    return local_context(whole_mini().placement)


def build_whole(root: Path, stages: tuple[Stage, ...] | None = None) -> None:
    """Build all stages, or these, one after the other."""
    stages = stages or graph_of(whole_mini())
    with ConsoleWatcher(root, stages) as watcher:
        LocalBackend().build_all(stages, root, context(), watcher)


__all__ = ["added_host_stages", "build_whole", "context", "whole_mini"]
