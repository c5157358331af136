"""What a run would meet on its nodes: whether its workers find a place, and their memory.

Starts no cluster: it attaches where RAY_ADDRESS says, or takes this machine as it is.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from interlingua.cluster.cards import cards_of
from interlingua.cluster.nodes import Added, Cluster, Node, Run, fit_together
from interlingua.cluster.placement import DoesNotFit, needs
from interlingua.cluster.preflight import with_card
from interlingua.cluster.session import ADDRESS_VARIABLE, LOGICAL_CPUS_PER_CORE, ray_session
from interlingua.memory.parameters import readable_bytes
from interlingua.specs.finding import Finding, State
from interlingua.specs.placement import Placement, Single, ThreeGroups, Workers


@dataclass(frozen=True, slots=True)
class Seen:
    """The nodes that a run would have, those that may come, and what is wrong with their cards."""

    nodes: tuple[Node, ...]
    added: Added = Added()
    wrong: str | None = None
    notices: tuple[str, ...] = ()


def seen_nodes(placement: Placement) -> Seen:
    """The nodes of the cluster that is named, or this machine."""
    if ADDRESS_VARIABLE in os.environ:
        with ray_session() as ray:
            cluster = Cluster(ray)
            nodes, added = cluster.alive(), cluster.added()
            try:
                cards, notices = cards_of(ray, nodes, placement)
            except DoesNotFit as error:
                return Seen(nodes, added, wrong=str(error))
            return Seen(tuple(with_card(n, cards) for n in nodes), added, notices=tuple(notices))
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    sizes = [torch.cuda.get_device_properties(index).total_memory
             for index in range(torch.cuda.device_count())]  # fmt: skip
    node = Node(
        name=socket.gethostname(),
        label=None,
        cpus=LOGICAL_CPUS_PER_CORE * len(os.sched_getaffinity(0)),
        gpus=len(sizes),
        memory=memory,
        card=min(sizes, default=None),
    )
    return Seen((node,))


def cluster_findings(placement: Placement, seen: Seen) -> Iterator[Finding]:
    """A line of what there is, and one for every group of workers and every device."""
    what = "; ".join(map(str, seen.nodes))
    if seen.added.nodes:
        what += f"; {len(seen.added.nodes)} more may be added"
    yield Finding("cluster", what, State.OK)
    if seen.wrong is not None:
        yield Finding("cluster", seen.wrong, State.WRONG, "see above")
    for notice in seen.notices:
        yield Finding("cluster", notice, State.UNKNOWN)
    may_grow = not seen.added.is_known or bool(seen.added.nodes)
    for field, run in _runs(placement):
        if fit_together([run], seen.nodes):
            yield Finding(f"placement.{field}", needs(run), State.OK)
        elif not seen.added.is_known or fit_together([run], [*seen.nodes, *seen.added.nodes]):
            yield Finding(
                f"placement.{field}",
                f"{needs(run)}: more than there is now",
                State.UNKNOWN,
                "a run waits until the autoscaler has added nodes",
            )
        else:
            yield Finding(
                f"placement.{field}",
                f"{needs(run)}: more than there is",
                State.WRONG,
                "another --placement, fewer workers, or RAY_ADDRESS of a larger cluster",
            )
    for field, device in _own_devices(placement):
        if device != "cpu" and not may_grow and not any(node.gpus for node in seen.nodes):
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


def _runs(placement: Placement) -> Iterator[tuple[str, Run]]:
    """The workers that are held at once, by the field that asks for them."""
    pools = {
        "extraction.workers": placement.extraction.workers,
        **{f"extraction.hosts.{h.tag}.workers": h.workers for h in placement.extraction.hosts},
        "training.workers": placement.training.workers,
        "verbalizing.workers": placement.verbalizing.workers,
    }
    for field, workers in pools.items():
        if workers is not None:
            # A pool takes what it gets, one worker after the other; ranks come all at once.
            yield field, (workers if field == "training.workers" else replace(workers, count=1),)
    place = placement.reinforcing
    if isinstance(place, ThreeGroups):
        yield "reinforcing", tuple(role.workers for role in place.roles().values())
    yield "cpus_per_stage", (Workers(count=1, cpus=placement.cpus_per_stage, gpus=0),)


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
