"""What a run would meet on its nodes: whether its workers find a place, and their memory.

Starts no cluster: it attaches where RAY_ADDRESS says, or takes this machine as it is.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace

from interlingua.cluster.nodes import Node, Run, fit_together, nodes_of
from interlingua.cluster.placement import needs
from interlingua.cluster.session import ADDRESS_VARIABLE, LOGICAL_CPUS_PER_CORE, ray_session
from interlingua.memory.parameters import readable_bytes
from interlingua.specs.finding import Finding, State
from interlingua.specs.placement import Placement, Single, ThreeGroups, Workers

GIB = 2**30


def seen_nodes() -> tuple[Node, ...]:
    """The nodes that a run would have: of the cluster that is named, or this machine."""
    if ADDRESS_VARIABLE in os.environ:
        with ray_session() as ray:
            return nodes_of(ray)
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cards = [torch.cuda.get_device_properties(index).total_memory
             for index in range(torch.cuda.device_count())]  # fmt: skip
    node = Node(
        name=socket.gethostname(),
        label=None,
        cpus=LOGICAL_CPUS_PER_CORE * len(os.sched_getaffinity(0)),
        gpus=len(cards),
        memory=memory,
        card=min(cards, default=None),
    )
    return (node,)


def cluster_findings(placement: Placement, nodes: Sequence[Node]) -> Iterator[Finding]:
    """A line of what there is, and one for every group of workers and every device."""
    what = "; ".join(map(_node_text, nodes))
    yield Finding("cluster", what, State.OK)
    may_grow = ADDRESS_VARIABLE in os.environ
    for field, groups in _groups(placement):
        if fit_together((groups,), nodes):
            yield Finding(f"placement.{field}", needs(groups), State.OK)
            continue
        what = f"{needs(groups)}: more than there is"
        if may_grow:
            remedy = "start nodes, unless the autoscaler of the cluster adds them"
            yield Finding(f"placement.{field}", what, State.UNKNOWN, remedy)
        else:
            remedy = "set fewer workers, or RAY_ADDRESS to a larger cluster"
            yield Finding(f"placement.{field}", what, State.WRONG, remedy)
    for field, device in _own_devices(placement):
        if device != "cpu" and not may_grow and not any(node.gpus for node in nodes):
            remedy = f"set placement.{field}.device=cpu, or run where there is one"
            yield Finding(f"placement.{field}", f"{device}: no GPU here", State.WRONG, remedy)


def memory_on(device: str, nodes: Sequence[Node]) -> int | None:
    """The most memory that one device of this kind has; None where nobody can tell."""
    sizes = [node.memory if device == "cpu" else node.card for node in nodes]
    return max((size for size in sizes if size is not None), default=None)


def memory_finding(subject: str, num_bytes: int, device: str, nodes: Sequence[Node]) -> Finding:
    """Whether weights fit on a device, whatever else is there."""
    most = memory_on(device, nodes)
    what = f"{readable_bytes(num_bytes)} of weights and state on {device}"
    if most is None:
        return Finding(subject, what, State.UNKNOWN, "the memory of the device is not known here")
    what += f", which has {readable_bytes(most)}"
    if num_bytes <= most or device == "auto":
        return Finding(subject, what, State.OK)
    return Finding(subject, what, State.WRONG, "a smaller dtype, more devices, or a smaller model")


def _groups(placement: Placement) -> Iterator[tuple[str, Run]]:
    """The workers that are held at once, by the field that asks for them."""
    pools = {
        "extraction.workers": placement.extraction.workers,
        **{f"extraction.hosts.{h.tag}.workers": h.workers for h in placement.extraction.hosts},
        "training.workers": placement.training.workers,
        "verbalizing.workers": placement.verbalizing.workers,
    }
    for field, workers in pools.items():
        if workers is not None:
            # A pool of readers takes what it gets, one after the other; ranks come all at once.
            one = replace(workers, count=1)
            yield field, (workers if field == "training.workers" else one,)
    place = placement.reinforcing
    if isinstance(place, ThreeGroups):
        roles = place.roles().values()
        yield "reinforcing", tuple(role.workers for role in roles)
    own = Workers(count=1, cpus=placement.cpus_per_stage, gpus=0)
    yield "cpus_per_stage", (own,)


def _own_devices(placement: Placement) -> Iterator[tuple[str, str]]:
    """The devices of what a stage's own process does."""
    if placement.extraction.workers is None:
        yield "extraction", placement.extraction.device
    if placement.training.workers is None:
        yield "training", placement.training.device
    if placement.verbalizing.workers is None:
        yield "verbalizing", placement.verbalizing.device
    if isinstance(placement.reinforcing, Single):
        yield "reinforcing", placement.reinforcing.device


def _node_text(node: Node) -> str:
    memory = f", {node.memory / GIB:.0f} GiB" if node.memory else ""
    card = f" of {node.card / GIB:.0f} GiB" if node.card else ""
    return f"{node.name}: {node.cpus:g} logical CPUs{memory}, {node.gpus:g} GPUs{card}"
