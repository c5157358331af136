"""What a stage asks of a cluster: its own process, and the workers that it holds beside it.

Knows specs and placements, and opens no model.
"""

from dataclasses import dataclass, replace
from math import inf

from interlingua.cluster.nodes import Cluster, Run
from interlingua.specs.placement import (
    ExtractionPlacement,
    Placement,
    Single,
    ThreeGroups,
    Workers,
    WorkKind,
)
from interlingua.stages.graph.stage_memory import Memory, memory_of
from interlingua.store.artifact import Stage


@dataclass(frozen=True, slots=True)
class Asked:
    """The own process of a stage, its workers, and the placement that says what each takes."""

    own: Workers
    workers: Run
    placement: Placement

    @property
    def run(self) -> Run:
        """All of it, without what takes nothing."""
        return tuple(one for one in (self.own, *self.workers) if one.cpus or one.gpus or one.memory)


def asked(stage: Stage, placement: Placement, *, most_memory: float = inf) -> Asked:
    """What the stage asks for; no more memory than `most_memory`, all processes together."""
    device, workers = device_of(stage, placement), workers_of(stage, placement)
    if device not in ("cpu", "cuda", "auto"):
        raise ValueError(
            f"the placement of {stage.name} names device {device}; a process sees the devices "
            "alone that Ray gives it: name cuda, or auto for a model on several"
        )
    memory = memory_of(stage, placement, device=device, has_workers=bool(workers))
    if placement.memory_per_stage is not None:
        memory = replace(memory, own=placement.memory_per_stage)
    own = Workers(
        count=1,
        # A stage that only waits for its workers must not take what they need.
        cpus=0 if workers else placement.cpus_per_stage,
        gpus=0 if workers or device == "cpu" else placement.gpus_per_stage,
        memory=memory.own,
    )
    found = _with_memory(placement, memory, 1.0)
    total = sum((one.memory or 0) * one.count for one in (own, *workers_of(stage, found)))
    if total > most_memory:
        found = _with_memory(placement, memory, most_memory / total)
        own = replace(own, memory=int(memory.own * most_memory / total))
    return Asked(own, workers_of(stage, found), found)


def asked_on(stage: Stage, placement: Placement, cluster: Cluster) -> Asked:
    """The same on this cluster: one of our own, which nobody can enlarge, is used as it is."""
    if not cluster.is_private:
        return asked(stage, placement)
    return asked(stage, placement, most_memory=max(n.memory or inf for n in cluster.alive()))


def workers_of(stage: Stage, placement: Placement) -> Run:
    """The workers that do the stage's work; none where its own process does it."""
    match stage.work:
        case WorkKind.EXTRACTION:
            found, _ = placement.extraction.of_host(stage.spec.host_tag)
        case WorkKind.TRAINING:
            found = placement.training.workers
        case WorkKind.VERBALIZING:
            found = placement.verbalizing.workers
        case WorkKind.REINFORCING if isinstance(placement.reinforcing, ThreeGroups):
            return tuple(role.workers for role in placement.reinforcing.roles().values())
        case _:
            found = None
    return () if found is None else (found,)


def groups_of(placement: Placement) -> Run:
    """Everything that is held as a whole by stages that train or reinforce."""
    place = placement.reinforcing
    roles = place.roles().values() if isinstance(place, ThreeGroups) else ()
    training = placement.training.workers
    return (*(() if training is None else (training,)), *(role.workers for role in roles))


def device_of(stage: Stage, placement: Placement) -> str:
    """The device that the stage's work is done on, by its own process where no workers do it."""
    place = placement.reinforcing
    match stage.device:
        case WorkKind.EXTRACTION:
            return placement.extraction.of_host(stage.spec.host_tag)[1]
        case WorkKind.TRAINING:
            return placement.training.device
        case WorkKind.VERBALIZING:
            return placement.verbalizing.device
        case WorkKind.REINFORCING if isinstance(place, Single):
            return place.device
        case _:  # of several roles, each has its own
            return "cpu"


def _with_memory(placement: Placement, memory: Memory, share: float) -> Placement:
    """The placement in which all workers ask for memory that say nothing of it themselves."""

    def some(workers: Workers | None) -> Workers | None:
        return None if workers is None else asking(workers)

    def asking(workers: Workers, role: str = "") -> Workers:
        if workers.memory is not None:
            return workers
        estimated = memory.roles.get(role, 0) if role else memory.each
        return replace(workers, memory=int(estimated * share))

    extraction: ExtractionPlacement = replace(
        placement.extraction,
        workers=some(placement.extraction.workers),
        hosts=tuple(replace(h, workers=some(h.workers)) for h in placement.extraction.hosts),
    )
    place = placement.reinforcing
    if isinstance(place, ThreeGroups):
        place = replace(
            place,
            av=replace(place.av, workers=asking(place.av.workers, "av")),
            av_init=replace(place.av_init, workers=asking(place.av_init.workers, "av_init")),
            ar=replace(place.ar, workers=asking(place.ar.workers, "ar")),
        )
    return replace(
        placement,
        extraction=extraction,
        training=replace(placement.training, workers=some(placement.training.workers)),
        verbalizing=replace(placement.verbalizing, workers=some(placement.verbalizing.workers)),
        reinforcing=place,
    )
