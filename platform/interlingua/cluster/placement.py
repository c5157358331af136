"""Groups of workers: compared with what the cluster has, then waited for with a voice.

Knows no model. The process that makes the groups owns them: they outlive the processes in them,
and nodes. A queued task, actor or group is what an autoscaler acts on: nothing is asked of it
beside that, and `request_resources` would hold nodes for others after we are gone.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from interlingua.cluster.nodes import ROLE_LABEL, Cluster, Fit, Free, Node, Run, hardness
from interlingua.memory.table import table_lines
from interlingua.specs.placement import ThreeGroups, Workers

COLUMNS = ("role", "workers", "CPUs each", "GPUs each", "nodes", "room on")

logger = logging.getLogger(__name__)


class DoesNotFit(ValueError):
    """The cluster has less than is asked for, and nothing that may come has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a wait is said, and how long a cluster that never can is given to change.

    Who waits learns within a minute that it is in vain.
    """

    voice_seconds: float = 30.0
    check_seconds: float = 5.0
    never_seconds: float = 50.0  # a node that is lost may be back


PATIENCE = Patience()


class Waiting:
    """One wait of somebody for a place."""

    def __init__(
        self,
        who: str,
        run: Run,
        cluster: Cluster,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._who, self._run, self._cluster = who, run, cluster
        self._patience, self._clock = patience or PATIENCE, clock
        self._began = self._spoke = self._checked = clock()
        self._never_since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it is by now."""
        return self._clock() - self._began

    def step(self) -> Fit | None:
        """Check whether it may be met, and say so if it is time to; None between two checks.

        Raises DoesNotFit where it never can be.
        """
        now = self._clock()
        if now - self._checked < self._patience.check_seconds:
            return None
        self._checked = now
        fit = self._cluster.fit([self._run])
        if fit is Fit.NEVER:
            self._never_since = now if self._never_since is None else self._never_since
            if now - self._never_since >= self._patience.never_seconds:
                raise never(self._who, self._run, self._cluster)
        else:
            self._never_since = None
        if now - self._spoke >= self._patience.voice_seconds:
            self._spoke = now
            logger.warning("%s", self.sentence(fit))
        return fit

    def sentence(self, fit: Fit) -> str:
        """What is waited for, and whether it may come."""
        reason = {
            Fit.NOW: "which others have now",
            Fit.LATER: "for which nodes may be added",
            Fit.NEVER: "which no node has any more",
        }[fit]
        return f"{self._who} waits for {needs(self._run)}, {reason}; {self.seconds:.0f} s so far"


def check_possible(who: str, run: Run, cluster: Cluster) -> None:
    """Raise DoesNotFit where neither a node nor one that may be added has what is asked for."""
    if cluster.fit([run]) is Fit.NEVER:
        raise never(who, run, cluster)


def never(who: str, run: Run, cluster: Cluster) -> DoesNotFit:
    """The error: what is asked, the largest of what there is, and what to do."""
    alive, added = cluster.alive(), cluster.added().nodes
    together = ", all at once" if sum(one.count for one in run) > 1 else ""
    may = f"; of what may be added the largest is {_largest(added)}" if added else ""
    return DoesNotFit(
        f"{who} asks for {needs(run)}{together}; of {len(alive)} nodes the largest is "
        f"{_largest(alive)}{may}: ask for less in the placement (--placement, --set "
        "placement.PATH=VALUE), or add nodes that have it"
    )


def needs(run: Run) -> str:
    """What workers take, in words."""
    return " and ".join(_need(one) for one in run)


def _need(workers: Workers) -> str:
    parts = [f"{workers.cpus:g} CPUs"] if workers.cpus else []
    parts += [f"{workers.gpus:g} GPUs"] if workers.gpus else []
    parts += [f"{workers.memory / 2**30:.1f} GiB"] if workers.memory else []
    where = f" on nodes with {ROLE_LABEL}={workers.node_label}" if workers.node_label else ""
    return f"{workers.count} x ({', '.join(parts) or 'nothing'}){where}"


def _largest(nodes: Sequence[Node]) -> str:
    """The node with the most cards, cores and memory."""
    if not nodes:
        return "none"
    return str(max(nodes, key=lambda node: (node.gpus, node.cpus, node.memory or 0)))


def wait_for_group(
    group: Any, waiting: Waiting, *, seconds: float | None = None, poll_seconds: float = 1.0
) -> None:
    """Return when a placement group has its place.

    Raises DoesNotFit after `seconds`, unless a node may still be added for it.
    """
    fit: Fit | None = None
    while not group.wait(poll_seconds):
        fit = waiting.step() or fit
        if seconds is not None and waiting.seconds > seconds and fit is not Fit.LATER:
            raise DoesNotFit(f"no place became free: {waiting.sentence(Fit.NOW)}")


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
