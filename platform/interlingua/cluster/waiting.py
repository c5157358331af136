"""Waiting for a place on a cluster: said again and again, and given up where none can come.

A queued task, actor or placement group is what an autoscaler acts on: nothing is asked of it
beside that, and `request_resources` would hold nodes for others after we are gone.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from interlingua.cluster.nodes import ROLE_LABEL, Cluster, Fit, Node, Run
from interlingua.specs.placement import Workers

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
