"""Placement groups of the roles: compared with what the cluster has, then waited for and logged.

Knows no model. The process that makes the groups owns them: they outlive the processes in them,
and nodes.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from interlingua.memory.table import table_lines
from interlingua.specs.placement import (
    FrozenPlacement,
    LearnerPlacement,
    Placement,
    ThreeGroups,
    Workers,
    WorkKind,
)

VOICE_SECONDS = 30.0
ROLE_LABEL = "role"
COLUMNS = ("role", "workers", "CPUs each", "GPUs each", "nodes", "room on")

# Bytes of a card, by the name that Ray's resource for its type has on a node.
CARDS = {
    f"accelerator_type:{name}": gib * 2**30
    for name, gib in {
        "V100": 15, "T4": 14, "A10G": 22, "L4": 22, "L40S": 44, "A100": 39, "A100-40G": 39,
        "A100-80G": 79, "H100": 79, "H20": 95, "H200": 139, "B200": 178, "RTX-PRO-6000": 94,
    }.items()
}  # fmt: skip

logger = logging.getLogger(__name__)

Role = FrozenPlacement | LearnerPlacement
# The groups that one stage holds at once: workers, and the label of their nodes.
Run = tuple[tuple[Workers, str | None], ...]


class DoesNotFit(ValueError):
    """The cluster has less than a placement asks for, whatever else runs on it."""


@dataclass(frozen=True, slots=True)
class Node:
    """All that a node has, taken or free."""

    name: str
    label: str | None
    cpus: float
    gpus: float
    memory: int | None = None  # bytes; of a card the least that one of its type has
    card: int | None = None


def nodes_of(ray: Any) -> tuple[Node, ...]:
    """Nodes that are alive; Ray does not say which ones an autoscaler could add."""
    return tuple(
        _node(node["NodeManagerHostname"], node["Labels"], node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    )


def placed(place: ThreeGroups, nodes: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    """A node for every worker of every role; raises DoesNotFit with a table where there is none."""
    free = {index: [node.cpus, node.gpus] for index, node in enumerate(nodes)}
    found: dict[str, tuple[Node, ...]] = {}
    # Those that may be on few nodes first, then the largest: the others find a place beside them.
    # A heuristic: with workers of unlike sizes a full search might place what this refuses.
    roles = sorted(
        place.roles().items(),
        key=lambda item: _hardness(item[1].workers, item[1].node_label),
        reverse=True,
    )
    for name, role in roles:
        own: list[Node] = []
        for _ in range(role.workers.count):
            index = _tightest(role.workers, role.node_label, nodes, free)
            if index is None:
                break
            free[index][0] -= role.workers.cpus
            free[index][1] -= role.workers.gpus
            own.append(nodes[index])
        found[name] = tuple(own)
    if any(len(found[name]) < role.workers.count for name, role in roles):
        raise DoesNotFit(_does_not_fit(place, nodes, found))
    return found


def run_of(placement: Placement, work: WorkKind | None) -> Run:
    """The groups that one stage holds at once; empty where its own process does the work."""
    place = placement.reinforcing
    if work is WorkKind.REINFORCING and isinstance(place, ThreeGroups):
        return tuple((role.workers, role.node_label) for role in place.roles().values())
    if work is WorkKind.TRAINING and placement.training.workers is not None:
        return ((placement.training.workers, None),)
    return ()


def fit_together(runs: Sequence[Run], nodes: Sequence[Node]) -> bool:
    """True where all groups of all these runs find a place beside each other.

    Groups are waited for one after the other. Runs that together want more than there is would each
    hold what the next one waits for, and all would wait for ever: so a run is let in whole.
    """
    free = {index: [node.cpus, node.gpus] for index, node in enumerate(nodes)}
    groups = [group for run in runs for group in run]
    for workers, label in sorted(groups, key=lambda group: _hardness(*group), reverse=True):
        for _ in range(workers.count):
            index = _tightest(workers, label, nodes, free)
            if index is None:
                return False
            free[index][0] -= workers.cpus
            free[index][1] -= workers.gpus
    return True


@contextmanager
def reserved(ray: Any, place: ThreeGroups, owner: str) -> Iterator[dict[str, Any]]:
    """Groups of AV_init and AR, ready, while devices for the AV are known to be free, too.

    Groups that an earlier driver of the same owner left behind are removed first.
    """
    from ray.util.placement_group import placement_group, remove_placement_group

    _sweep(owner)
    groups = {}
    try:
        for name, role in place.roles().items():
            groups[name] = placement_group(
                [bundle(role.workers) for _ in range(role.workers.count)],
                strategy="PACK",
                name=f"{owner}/{name}",
                bundle_label_selector=[selector(role.node_label)] * role.workers.count,
            )
        for name, group in groups.items():
            wait_for(group, name, place.roles()[name])
        # Ray Train makes the AV's group itself: this one only waited for its devices.
        remove_placement_group(groups.pop("av"))
        yield groups
    finally:
        for group in groups.values():
            remove_placement_group(group)


def bundle(workers: Workers) -> dict[str, float]:
    """Resources that one worker takes, as Ray names them, without those of amount 0."""
    asked = {"CPU": workers.cpus, "GPU": workers.gpus}
    return {resource: amount for resource, amount in asked.items() if amount}


def selector(node_label: str | None) -> dict[str, str]:
    """Label selector of the nodes that a worker may be on; empty for any node."""
    return {} if node_label is None else {ROLE_LABEL: node_label}


def wait_for(group: Any, name: str, role: Role, *, seconds: float | None = None) -> None:
    """Return when the group has its devices; warns every 30 s, and waits for ever by default."""
    started = time.monotonic()
    needs = f"{role.workers.count} x {bundle(role.workers)}"
    if role.node_label is not None:
        needs += f" on nodes with {ROLE_LABEL}={role.node_label}"
    while True:
        waited = time.monotonic() - started
        left = VOICE_SECONDS if seconds is None else min(VOICE_SECONDS, seconds - waited)
        if left <= 0:
            raise DoesNotFit(f"role {name}: no {needs} became free for {waited:.0f} s")
        if group.wait(left):
            return
        logger.warning("role %s waits for %s, %.0f s so far", name, needs, waited + left)


def _hardness(workers: Workers, label: str | None) -> tuple[bool, float, float]:
    return (label is not None, workers.gpus, workers.cpus)


def _tightest(
    workers: Workers, label: str | None, nodes: Sequence[Node], free: Mapping[int, list[float]]
) -> int | None:
    """The node with the least left that still takes one worker."""
    fitting = [
        index
        for index, node in enumerate(nodes)
        if label in (None, node.label)
        and free[index][0] >= workers.cpus
        and free[index][1] >= workers.gpus
    ]
    return min(fitting, key=lambda index: (free[index][1], free[index][0]), default=None)


def _does_not_fit(
    place: ThreeGroups, nodes: Sequence[Node], found: Mapping[str, tuple[Node, ...]]
) -> str:
    rows = []
    for name, role in place.roles().items():
        workers, names = role.workers, [node.name for node in found[name]]
        if missing := workers.count - len(names):
            names.append(f"{missing} short")
        nodes_asked = "any" if role.node_label is None else f"{ROLE_LABEL}={role.node_label}"
        amounts = (f"{amount:g}" for amount in (workers.count, workers.cpus, workers.gpus))
        rows.append((name, *amounts, nodes_asked, ", ".join(names)))
    has = [
        f"{node.name}: {node.cpus:g} CPUs, {node.gpus:g} GPUs"
        + (f", {ROLE_LABEL}={node.label}" if node.label else "")
        for node in nodes
    ]
    return (
        "Placement.reinforcing asks for more than the cluster has, all three roles at once:\n"
        + "\n".join(table_lines(COLUMNS, rows))
        + "\nthe cluster has: "
        + "; ".join(has)
        + "; nodes that an autoscaler would add do not count, start them first"
    )


def _sweep(owner: str) -> None:
    """Remove the groups of a driver that was killed: a task's groups live as long as its job."""
    from ray import PlacementGroupID
    from ray.util import placement_group_table
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    for key, row in placement_group_table().items():
        if row["name"].startswith(f"{owner}/") and row["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(key))))


def _node(name: str, labels: Mapping[str, str], resources: Mapping[str, float]) -> Node:
    return Node(
        name=name,
        label=labels.get(ROLE_LABEL),
        cpus=resources.get("CPU", 0),
        gpus=resources.get("GPU", 0),
        memory=int(resources["memory"]) if "memory" in resources else None,
        card=next((CARDS[name] for name in resources if name in CARDS), None),
    )
