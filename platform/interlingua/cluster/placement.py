"""Groups of workers: compared with what the cluster has, then waited for.

Knows no model. The process that makes the groups owns them: they outlive the processes in them,
and nodes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from interlingua.cluster.nodes import ROLE_LABEL, Cluster, Fit, Free, Node, hardness
from interlingua.cluster.waiting import DoesNotFit, Waiting, wait_for_group
from interlingua.memory.table import table_lines
from interlingua.specs.placement import ThreeGroups, Workers

COLUMNS = ("role", "workers", "CPUs each", "GPUs each", "nodes", "room on")


def placed(place: ThreeGroups, nodes: Sequence[Node]) -> dict[str, tuple[Node, ...]]:
    """A node for every worker of every role; raises DoesNotFit with a table where there is none."""
    free = Free(nodes)
    # Those that may be on few nodes first, then the largest: the others find a place beside them.
    # A heuristic: with workers of unlike sizes a full search might place what this refuses.
    roles = sorted(place.roles().items(), key=lambda item: hardness(item[1].workers), reverse=True)
    found = {name: free.take(role.workers) for name, role in roles}
    if any(len(found[name]) < role.workers.count for name, role in roles):
        raise DoesNotFit(_does_not_fit(place, nodes, found))
    return found


def placed_on(place: ThreeGroups, cluster: Cluster) -> dict[str, tuple[Node, ...]]:
    """The same on nodes that are alive or may be added; none where nobody knows which may be."""
    run, alive = tuple(role.workers for role in place.roles().values()), cluster.alive()
    if cluster.fit([run]) is Fit.NOW:
        return placed(place, alive)
    added = cluster.added()
    return placed(place, [*alive, *added.nodes]) if added.is_known else {}


@contextmanager
def reserved(ray: Any, place: ThreeGroups, owner: str) -> Iterator[dict[str, Any]]:
    """Groups of AV_init and AR, ready, while devices for the AV are known to be free, too.

    Groups that an earlier driver of the same owner left behind are removed first.
    """
    from ray.util.placement_group import remove_placement_group

    _sweep(owner)
    cluster, groups = Cluster(ray), {}
    whole = tuple(role.workers for role in place.roles().values())
    try:
        for name, role in place.roles().items():
            groups[name] = _group(f"{owner}/{name}", role.workers)
        waiting = Waiting(f"the roles {', '.join(groups)} together: one", whole, cluster)
        for group in groups.values():
            wait_for_group(group, waiting)
        # Ray Train makes the AV's group itself: this one only waited for its devices.
        remove_placement_group(groups.pop("av"))
        yield groups
    finally:
        for group in groups.values():
            remove_placement_group(group)


def wait_for_place(ray: Any, owner: str, workers: Workers) -> None:
    """Return when all of these workers could start: Ray Train itself waits without a word."""
    from ray.util.placement_group import remove_placement_group

    if not bundle(workers):
        return
    _sweep(owner)
    group = _group(f"{owner}/training", workers)
    try:
        wait_for_group(group, Waiting(f"the training of {owner}", (workers,), Cluster(ray)))
    finally:
        remove_placement_group(group)


def bundle(workers: Workers) -> dict[str, float]:
    """Resources that one worker takes, as Ray names them, without those of amount 0."""
    asked = {"CPU": workers.cpus, "GPU": workers.gpus, "memory": workers.memory}
    return {resource: amount for resource, amount in asked.items() if amount}


def selector(workers: Workers) -> dict[str, str]:
    """Label selector of the nodes that a worker may be on; empty for any node."""
    return {} if workers.node_label is None else {ROLE_LABEL: workers.node_label}


def taken(workers: Workers) -> dict[str, Any]:
    """What one worker takes, as a Ray task or actor asks for it."""
    found: dict[str, Any] = {"num_cpus": workers.cpus, "num_gpus": workers.gpus}
    return found | ({"memory": workers.memory} if workers.memory else {})


def options(workers: Workers) -> dict[str, Any]:
    """The same outside of a placement group, with the nodes that it may be on."""
    return taken(workers) | ({"label_selector": selector(workers)} if workers.node_label else {})


def _group(name: str, workers: Workers) -> Any:
    from ray.util.placement_group import placement_group

    return placement_group(
        [bundle(workers)] * workers.count,
        strategy="PACK",
        name=name,
        bundle_label_selector=[selector(workers)] * workers.count,
    )


def _does_not_fit(
    place: ThreeGroups, nodes: Sequence[Node], found: Mapping[str, tuple[Node, ...]]
) -> str:
    rows = []
    for name, role in place.roles().items():
        workers, names = role.workers, [node.name for node in found[name]]
        if missing := workers.count - len(names):
            names.append(f"{missing} short")
        nodes_asked = "any" if workers.node_label is None else f"{ROLE_LABEL}={workers.node_label}"
        amounts = (f"{amount:g}" for amount in (workers.count, workers.cpus, workers.gpus))
        rows.append((name, *amounts, nodes_asked, ", ".join(names)))
    return (
        "Placement.reinforcing asks for more than the cluster has, all three roles at once:\n"
        + "\n".join(table_lines(COLUMNS, rows))
        + "\nthe cluster has: "
        + "; ".join(map(str, nodes))
    )


def _sweep(owner: str) -> None:
    """Remove the groups of a driver that was killed: a task's groups live as long as its job."""
    from ray import PlacementGroupID
    from ray.util import placement_group_table
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    for key, row in placement_group_table().items():
        if row["name"].startswith(f"{owner}/") and row["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(key))))
