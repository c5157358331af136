"""Nodes of a cluster, those that its autoscaler could add, and what finds a place on them.

Ray tells nobody which types of nodes there could be. They stand in the file that its autoscaler was
started with, on the head, and are read there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any

from interlingua.specs.placement import Workers

ROLE_LABEL = "role"
TYPE_LABEL = "ray.io/node-group"  # set by Ray: the name of the node's type
HEAD_RESOURCE = "node:__internal_head__"
MONITOR, CONFIG_FLAG, GCS_FLAG = "monitor.py", "--autoscaling-config=", "--gcs-address="
ASK_SECONDS = 60.0
FRESH_SECONDS = 0.5
ROUNDING = 1e-6  # of sums of shares

Run = tuple[Workers, ...]  # all that one stage holds at once


@dataclass(frozen=True, slots=True)
class Node:
    """All that a node has, taken or free; `card` is the memory of its smallest GPU."""

    name: str
    label: str | None
    cpus: float
    gpus: float
    memory: int | None = None  # bytes
    card: int | None = None
    key: str = ""
    type: str | None = None

    def __str__(self) -> str:
        labelled = f", {ROLE_LABEL}={self.label}" if self.label else ""
        memory = f", {self.memory / 2**30:.0f} GiB" if self.memory else ""
        return f"{self.name}: {_count(self.cpus)} CPUs, {self.gpus:g} GPUs{memory}{labelled}"


@dataclass(frozen=True, slots=True)
class Added:
    """The nodes that may still come; `is_known` is False where nobody here can see which."""

    nodes: tuple[Node, ...] = ()
    is_known: bool = True


def nodes_of(ray: Any) -> tuple[Node, ...]:
    """The nodes that are alive."""
    return tuple(
        _node(
            node["NodeManagerHostname"],
            node["Resources"],
            node["Labels"],
            key=node["NodeID"],
            type=node["Labels"].get(TYPE_LABEL),
        )
        for node in ray.nodes()
        if node["Alive"]
    )


class Fit(Enum):
    """When workers find a place: on the nodes that are alive, on others, on none that may come."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class Cluster:
    """The nodes that are alive, and what an autoscaler may add to them.

    Its file is read once, and only when what is alive is not enough.
    """

    def __init__(self, ray: Any, *, is_private: bool = False) -> None:
        self._ray = ray
        self._config: Mapping[str, Any] | None = None
        self.is_private = is_private
        self._is_known = True if is_private else None
        self._alive: tuple[Node, ...] = ()
        self._asked_at = -inf

    def alive(self) -> tuple[Node, ...]:
        """The nodes that are alive, as they were at most half a second ago."""
        if (now := time.monotonic()) - self._asked_at > FRESH_SECONDS:
            self._alive, self._asked_at = nodes_of(self._ray), now
        return self._alive

    def added(self) -> Added:
        """The nodes that may still come."""
        if self._is_known is None:
            self._is_known, self._config = _asked_head(self._ray)
        if self._config is None:
            return Added(is_known=self._is_known)
        return Added(tuple(_addable(self._config, self.alive())))

    def fit(self, runs: Sequence[Run]) -> Fit:
        """When all workers of all these runs find a place beside each other."""
        alive = self.alive()
        if fit_together(runs, alive):
            return Fit.NOW
        added = self.added()
        may_come = not added.is_known or fit_together(runs, [*alive, *added.nodes])
        return Fit.LATER if may_come else Fit.NEVER


class Free:
    """What is still free of some nodes, as workers are put on them one by one."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        # A node of which nobody knows the memory has enough of it.
        self._free = [[n.cpus, n.gpus, inf if n.memory is None else n.memory] for n in nodes]

    def take(self, workers: Workers) -> tuple[Node, ...]:
        """The nodes of as many of these workers as find a place, each on the fullest."""
        asked = (workers.cpus, workers.gpus, workers.memory or 0)
        found = []
        for _ in range(workers.count):
            fitting = [
                index
                for index, free in enumerate(self._free)
                if workers.node_label in (None, self._nodes[index].label)
                and all(f >= a - ROUNDING for f, a in zip(free, asked, strict=True))
            ]
            if not fitting:
                break
            # Cards are scarcest: the node with the least of them left.
            index = min(fitting, key=lambda at: (self._free[at][1], self._free[at][0]))
            self._free[index] = [f - a for f, a in zip(self._free[index], asked, strict=True)]
            found.append(self._nodes[index])
        return tuple(found)


def fit_together(runs: Sequence[Run], nodes: Sequence[Node]) -> bool:
    """True where all workers of all these runs find a place beside each other.

    Groups are waited for one after the other. Runs that together want more than there is would each
    hold what the next one waits for, and all would wait for ever: so a run is let in whole.
    """
    free = Free(nodes)
    workers = sorted((one for run in runs for one in run), key=hardness, reverse=True)
    return all(len(free.take(one)) == one.count for one in workers)


def hardness(workers: Workers) -> tuple[bool, float, float, float]:
    """How hard it is to find a place: a heuristic, by which the hardest is placed first."""
    return (workers.node_label is not None, workers.gpus, workers.cpus, workers.memory or 0)


def _asked_head(ray: Any) -> tuple[bool, Mapping[str, Any] | None]:
    """Whether the head's autoscaler is in sight, and its configuration if it has one."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    head = next(
        node for node in ray.nodes() if node["Alive"] and HEAD_RESOURCE in node["Resources"]
    )
    strategy = NodeAffinitySchedulingStrategy(head["NodeID"], soft=False)
    task = ray.remote(num_cpus=0, scheduling_strategy=strategy)(read_config)
    address = ray.get_runtime_context().gcs_address
    try:
        found: tuple[bool, Mapping[str, Any] | None] = ray.get(
            task.remote(address), timeout=ASK_SECONDS
        )
    except (ray.exceptions.RayError, TimeoutError):
        return False, None
    return found


def read_config(gcs_address: str, processes: Path = Path("/proc")) -> tuple[bool, Any]:
    """Find the autoscaler of this cluster among the processes of this node, and read its file.

    (False, None) where it is not here: on Kubernetes it is in a container of its own.
    """
    import yaml

    for path in processes.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        if not any(word.endswith(MONITOR) for word in words[:4]):
            continue
        if f"{GCS_FLAG}{gcs_address}" not in words:
            continue  # of another cluster
        own = (word.removeprefix(CONFIG_FLAG) for word in words if word.startswith(CONFIG_FLAG))
        file = next(own, None)
        return True, None if file is None else yaml.safe_load(Path(file).expanduser().read_text())
    return False, None


def _addable(config: Mapping[str, Any], alive: Sequence[Node]) -> Iterator[Node]:
    """As many nodes of every type as may come still."""
    types, most = config["available_node_types"], config.get("max_workers", inf)
    for name, made in types.items():
        if name == config.get("head_node_type"):
            continue
        count = min(made.get("max_workers", 0), most) - sum(_is_of(n, name, made) for n in alive)
        # What a provider fills in by itself may be left out of the file: then nobody knows.
        resources = {"CPU": inf} | dict(made.get("resources", {}))
        for _ in range(max(0, int(count))):
            yield _node(f"{name} (to be added)", resources, made.get("labels", {}), type=name)


def _is_of(node: Node, name: str, made: Mapping[str, Any]) -> bool:
    """True where a node is of a type: by its name, or, where Ray was not told it, by what it is."""
    if node.type is not None:
        return node.type == name
    label, resources = made.get("labels", {}).get(ROLE_LABEL), made.get("resources", {})
    return (node.label, node.gpus) == (label, resources.get("GPU", 0))


def _node(name: str, resources: Mapping[str, float], labels: Mapping[str, str], **own: Any) -> Node:
    return Node(
        name=name,
        label=labels.get(ROLE_LABEL),
        cpus=resources.get("CPU", 0),
        gpus=resources.get("GPU", 0),
        memory=int(resources["memory"]) if "memory" in resources else None,
        **own,
    )


def _count(number: float) -> str:
    return "any number of" if number == inf else f"{number:g}"
