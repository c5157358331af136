"""Where a recipe runs, by name: `--placement NAME` puts one of these in the recipe's place.

A placement is no part of what is computed. Knows no recipe.
"""

from collections.abc import Callable
from dataclasses import replace

from interlingua.specs.placement import (
    ExtractionPlacement,
    FrozenPlacement,
    LearnerPlacement,
    Placement,
    Single,
    ThreeGroups,
    TrainingPlacement,
    VerbalizingPlacement,
    Workers,
)

# One rank a card, with cores to feed it.
RANK = Workers(count=1, cpus=4, gpus=1)
# Their nodes are started with `ray start --labels role=av`, and role=ar, as in cluster.yaml.
AV_NODE, AR_NODE = "av", "ar"


def laptop() -> Placement:
    """No GPU: stages side by side with a core each, small models in the stage's own process."""
    return Placement(
        name="laptop",
        # A core has two logical CPUs (cluster/session.py): this is one core, with one thread. More
        # threads are slower on small models, and fight when stages run side by side.
        cpus_per_stage=2,
        threads_per_worker=1,
        stages_side_by_side=6,
        extraction=ExtractionPlacement(
            workers=None,
            device="cpu",
            block_passages=512,
            batch_tokens=8192,
        ),
        training=TrainingPlacement(
            workers=Workers(count=1, cpus=1, gpus=0),
            device="cpu",
            micro_batch_rows=32,
            zero_stage=2,
            failures_survived=3,
        ),
        verbalizing=VerbalizingPlacement(
            workers=None,
            device="cpu",
            block_rows=2048,
            batch_rows=512,
        ),
        reinforcing=Single(device="cpu", micro_batch_rows=32, batch_rows=512),
    )


def one_gpu() -> Placement:
    """One GPU, which one stage after the other has; what needs none runs beside it."""
    return Placement(
        name="one_gpu",
        cpus_per_stage=2,
        threads_per_worker=1,
        stages_side_by_side=6,
        extraction=ExtractionPlacement(
            workers=None,
            device="cuda",
            block_passages=512,
            batch_tokens=16_384,
        ),
        training=TrainingPlacement(
            workers=replace(RANK, cpus=2),
            device="cuda",
            micro_batch_rows=8,
            zero_stage=0,
            failures_survived=3,
        ),
        verbalizing=VerbalizingPlacement(
            workers=None,
            device="cuda",
            block_rows=2048,
            batch_rows=256,
        ),
        reinforcing=Single(device="cuda", micro_batch_rows=8, batch_rows=64),
    )


def eight_gpus() -> Placement:
    """One node with 8 GPUs: trainings and readers on all, RL on 4 (AV), 2 (AV_init) and 2 (AR)."""
    return _many(
        "eight_gpus",
        reading=replace(RANK, count=8),
        training=replace(RANK, count=8),
        reinforcing=_roles(replace(RANK, count=4), *[replace(RANK, count=2)] * 2),
    )


def two_nodes() -> Placement:
    """Two nodes with 8 GPUs each, labelled role=av and role=ar: RL on 8 (AV), and 4 + 4."""
    four = replace(RANK, count=4, node_label=AR_NODE)
    return _many(
        "two_nodes",
        reading=replace(RANK, count=8),
        # The AV and the AR are trained side by side, each within a node.
        training=replace(RANK, count=8),
        reinforcing=_roles(replace(RANK, count=8, node_label=AV_NODE), four, four),
    )


def four_v100() -> Placement:
    """One node with 4 V100s: small batches, AV on 2 in RL; see what a V100 cannot do.

    A V100 has no bfloat16: it is emulated, and slow. Dtypes are the recipe's: set those of hosts
    and of av.optim and ar.optim to float32, or to float16 where workers train under ZeRO.
    PyTorch must have kernels for sm_70; its wheels for CUDA 13 do not.
    """
    made = _many(
        "four_v100",
        reading=replace(RANK, count=4),
        training=replace(RANK, count=4),
        reinforcing=_roles(replace(RANK, count=2), RANK, RANK),
    )
    place = made.reinforcing
    assert isinstance(place, ThreeGroups)
    return replace(
        made,
        extraction=replace(made.extraction, batch_tokens=8192),
        training=replace(made.training, micro_batch_rows=2),
        verbalizing=replace(made.verbalizing, batch_rows=64),
        reinforcing=replace(
            place,
            av=replace(place.av, micro_batch_rows=2, batch_rows=32),
            av_init=replace(place.av_init, batch_rows=32),
            ar=replace(place.ar, micro_batch_rows=2, batch_rows=32),
        ),
    )


PLACEMENTS: dict[str, Callable[[], Placement]] = {
    "laptop": laptop,
    "one_gpu": one_gpu,
    "eight_gpus": eight_gpus,
    "two_nodes": two_nodes,
    "four_v100": four_v100,
}


def placed_at(name: str, own: Placement) -> Placement:
    """The placement of that name, with the addresses of the recipe's own: teacher and server."""
    made = PLACEMENTS[name]()
    verbalizing = replace(made.verbalizing, server=own.verbalizing.server)
    return replace(made, teaching=own.teaching, verbalizing=verbalizing)


def _many(name: str, *, reading: Workers, training: Workers, reinforcing: ThreeGroups) -> Placement:
    """Workers with a card each for everything that has a pool."""
    return Placement(
        name=name,
        cpus_per_stage=4,
        threads_per_worker=4,
        stages_side_by_side=16,
        extraction=ExtractionPlacement(
            workers=reading,
            device="cuda",
            block_passages=512,
            batch_tokens=32_768,
        ),
        training=TrainingPlacement(
            workers=training,
            device="cuda",
            micro_batch_rows=4,
            zero_stage=2,
            failures_survived=3,
        ),
        verbalizing=VerbalizingPlacement(
            workers=reading,
            device="cuda",
            block_rows=1024,
            batch_rows=256,
        ),
        reinforcing=reinforcing,
    )


def _roles(av: Workers, av_init: Workers, ar: Workers) -> ThreeGroups:
    learner = LearnerPlacement(
        workers=av, device="cuda", batch_rows=64, micro_batch_rows=4, zero_stage=2
    )
    return ThreeGroups(
        av=learner,
        av_init=FrozenPlacement(workers=av_init, device="cuda", batch_rows=64),
        ar=replace(learner, workers=ar),
        patience_seconds=600,
        failures_survived=3,
    )
