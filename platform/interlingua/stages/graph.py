"""Recipe -> stages: the one place that knows the order. Knows no backend.

A stage's code is imported when it runs: a dry run needs neither torch nor transformers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.specs.hosts import AtDepth
from interlingua.specs.recipe import Recipe
from interlingua.specs.world import PassagesSpec, RoomSpec, WorldHostSpec
from interlingua.stages.backend import Context
from interlingua.store.artifact import Artifact, Stage

Inputs = Mapping[str, Artifact]

MIDDLE = AtDepth(fraction=0.5)


def graph_of(recipe: Recipe) -> tuple[Stage, ...]:
    """Every stage of the recipe: inputs first, expensive hosts before cheap ones."""
    passages = passages_stage(recipe)
    hosts = host_stages(recipe)
    rooms = [room_stage(host, passages) for host in hosts.values()]
    return (passages, *hosts.values(), *rooms)


def passages_stage(recipe: Recipe) -> Stage:
    """The texts of the recipe's world."""
    return Stage(
        kind="passages",
        label="world",
        spec=recipe.passages,
        run=_run_passages,
        inputs={},
        revision=1,
    )


def host_stages(recipe: Recipe) -> dict[str, Stage]:
    """The pretrained hosts by tag, the most expensive first."""
    passages = passages_stage(recipe)
    return {
        host.tag: Stage(
            kind="host",
            label=host.tag,
            spec=host,
            run=_run_pretrain,
            inputs={"passages": passages},
            revision=1,
        )
        for host in sorted(recipe.hosts, key=_cost, reverse=True)
    }


def room_stage(host: Stage, passages: Stage) -> Stage:
    """What true facts could explain of one host's activations."""
    spec: WorldHostSpec = host.spec
    return Stage(
        kind="room",
        label=host.label,
        spec=RoomSpec(seed=0, block_index=MIDDLE.block_index(spec.num_blocks)),
        run=_run_room,
        inputs={"host": host, "passages": passages},
        revision=1,
    )


def _cost(host: WorldHostSpec) -> int:
    """Roughly the multiplications of its pretraining."""
    weights = 12 * host.num_blocks * host.width**2 + host.tokenizer.vocab_size * host.width
    return weights * host.pretrain.num_steps * host.pretrain.rows * host.pretrain.num_tokens


def _run_passages(spec: PassagesSpec, inputs: Inputs, out: Path, context: Context) -> Any:
    from interlingua.stages.passages import run

    return run(spec, inputs, out, context)


def _run_pretrain(spec: WorldHostSpec, inputs: Inputs, out: Path, context: Context) -> Any:
    from interlingua.stages.pretrain import run

    return run(spec, inputs, out, context)


def _run_room(spec: RoomSpec, inputs: Inputs, out: Path, context: Context) -> Any:
    from interlingua.stages.room import run

    return run(spec, inputs, out, context)
