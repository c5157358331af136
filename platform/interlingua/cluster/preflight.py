"""Before a process starts: what every role would take beside what its device has, as a table.

Asks the cluster for its nodes and opens no model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from interlingua.cluster.cards import Card
from interlingua.cluster.nodes import Cluster, Node
from interlingua.cluster.placement import DoesNotFit, placed_on
from interlingua.memory.roles import RoleMemory
from interlingua.memory.run import memory_lines, run_memory
from interlingua.models.hosts.sizes import size_of
from interlingua.specs.hosts import PoolHost
from interlingua.specs.placement import (
    FrozenPlacement,
    LearnerPlacement,
    Placement,
    Single,
    ThreeGroups,
)
from interlingua.specs.rl import RlTraining
from interlingua.store.artifact import Stage

Nodes = Sequence[Node]
Role = FrozenPlacement | LearnerPlacement


def preflight(
    stages: Sequence[Stage], placement: Placement, cluster: Cluster, cards: Mapping[str, Card]
) -> Iterator[str]:
    """Lines of a table for every run of reinforcement learning among the stages, equal ones once.

    Raises DoesNotFit where the cluster has too few devices, and may get no more, or too small ones.
    The memory of a card that is not there yet is not known.
    """
    seen: set[tuple[RoleMemory, ...]] = set()
    place = placement.reinforcing
    for stage in stages:
        if not isinstance(stage.spec, RlTraining):
            continue
        # Also where the trunk's size is not known: too few devices are an error all the same.
        found = placed_on(place, cluster) if isinstance(place, ThreeGroups) else None
        trunk = _trunk_of(stage)
        if trunk is None:
            continue
        rows = run_memory(trunk, stage.spec, place)
        if found is not None:
            assert isinstance(place, ThreeGroups)
            if found:  # else nobody knows on what nodes they will be
                own = {
                    name: tuple(with_card(n, cards) for n in nodes) for name, nodes in found.items()
                }
                rows = tuple(_on_nodes(row, place.roles()[row.role], own) for row in rows)
        else:
            assert isinstance(place, Single)
            nodes = [with_card(node, cards) for node in cluster.alive()]
            rows = tuple(_on_any(row, place, placement, nodes) for row in rows)
        if rows not in seen:
            seen.add(rows)
            yield from _memory_table(rows)


def with_card(node: Node, cards: Mapping[str, Card]) -> Node:
    """The node with the memory of its card, where that is known."""
    return replace(node, card=cards[node.key].num_bytes) if node.key in cards else node


def _memory_table(rows: tuple[RoleMemory, ...]) -> list[str]:
    title, *table = memory_lines(rows)
    if not all(row.fits for row in rows):
        raise DoesNotFit(
            "Placement.reinforcing asks for more memory than its devices have, in GiB at the "
            "peak:\n" + "\n".join(table) + "\nfewer rows at once (micro_batch_rows, batch_rows), "
            "gradient_checkpointing, more workers with ZeRO 2, or LoRA of a lower rank take less"
        )
    return [title, *table]


def _trunk_of(stage: Stage) -> PoolHost | None:
    """The trunk's dimensions, where they can be known."""
    return size_of(stage.inputs.pair.trunk.spec)


def _on_nodes(row: RoleMemory, role: Role, found: Mapping[str, tuple[Node, ...]]) -> RoleMemory:
    own = found[row.role]
    if role.device == "cpu":
        # The processes on a node share its memory, in equal parts; a card is one process's own,
        # unless it asks for a part of it.
        everyone = [node for nodes in found.values() for node in nodes]
        there = [_part(node.memory, 1 / everyone.count(node)) for node in own]
    else:
        there = [_part(node.card, min(1.0, role.workers.gpus)) for node in own]
    names = ", ".join(dict.fromkeys(node.name for node in own))
    return replace(row, nodes=names, device_bytes=_least(there))


def _on_any(row: RoleMemory, place: Single, placement: Placement, nodes: Nodes) -> RoleMemory:
    """The row with the least memory of the nodes on which Ray might start the stage."""
    if place.device == "cpu":
        there = [node.memory for node in nodes if node.cpus >= placement.cpus_per_stage]
    else:
        there = [node.card for node in nodes if node.gpus]
    return replace(row, device_bytes=_least(there))


def _part(num_bytes: int | None, share: float) -> int | None:
    return None if num_bytes is None else int(num_bytes * share)


def _least(values: Sequence[int | None]) -> int | None:
    # One node of unknown size leaves the least unknown: what fits is then not judged.
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None
