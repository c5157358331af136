"""Supervisor of the role groups: it restarts them, and opens them for every attempt of the loop.

It holds handles only: after its own death it starts all groups again. Knows no models and no steps.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from interlingua.cluster.nodes import Cluster
from interlingua.cluster.placement import Waiting, taken, wait_for_group
from interlingua.cluster.roles import WORKERS
from interlingua.specs.placement import ThreeGroups
from interlingua.store.atomic import write_atomically

PING_SECONDS = 20.0
ATTEMPT_NAME = "attempt"

logger = logging.getLogger(__name__)


class RoleHandles(NamedTuple):
    """The workers of both roles, and the attempt that they answer."""

    attempt: int
    av_init: tuple[Any, ...]
    ar: tuple[Any, ...]


class Supervisor:
    """Runs as an actor; every method may be called again after a death in the middle of it.

    `job` is a pickled RlJob, which is opened by workers only: here no model is known.
    """

    def __init__(
        self, job: bytes, place: ThreeGroups, groups: Mapping[str, Any], out: Path
    ) -> None:
        self._job, self._place, self._groups, self._out = job, place, groups, out
        self._workers: dict[str, tuple[Any, ...]] = {}

    def heal(self) -> None:
        """Start every group again that is not whole."""
        import ray

        dead = [role for role in WORKERS if not self._is_whole(ray, role)]
        for role in dead:
            self._dismiss(ray, role)
        with ExitStack() as undo:  # half a group would answer as if it were one
            for role in dead:  # all are started before any is waited for
                undo.callback(self._dismiss, ray, role)
                self._workers[role] = self._started(ray, role)
            for role in dead:
                self._join(ray, role)
            undo.pop_all()

    def begin(self) -> RoleHandles:
        """A new attempt: all groups whole, opened as training begins, refusing earlier attempts."""
        import ray

        self.heal()
        attempt = self._next_attempt()
        try:
            self._begin(ray, attempt)
        except (ray.exceptions.RayError, TimeoutError) as error:
            # A collective that broke stays broken in processes that live on, and answer a ping.
            logger.warning("all roles are made anew: %s", type(error).__name__)
            for role in WORKERS:
                self._dismiss(ray, role)
            self.heal()
            self._begin(ray, attempt)
        return RoleHandles(attempt, self._workers["av_init"], self._workers["ar"])

    def _begin(self, ray: Any, attempt: int) -> None:
        workers = [worker for role in WORKERS for worker in self._workers[role]]
        ray.get(
            [worker.begin.remote(attempt) for worker in workers],
            timeout=self._place.patience_seconds,
        )

    def _is_whole(self, ray: Any, role: str) -> bool:
        workers = self._workers.get(role)
        if workers is None:
            return False
        # One that is still busy with a call of the last attempt counts as dead, too: it answers
        # nothing new before that call has ended.
        try:
            ray.get([worker.ping.remote() for worker in workers], timeout=PING_SECONDS)
        except (ray.exceptions.RayError, TimeoutError) as error:
            logger.warning("role %s is made anew: %s", role, type(error).__name__)
            return False
        return True

    def _dismiss(self, ray: Any, role: str) -> None:
        for worker in self._workers.pop(role, ()):
            ray.kill(worker)

    def _started(self, ray: Any, role: str) -> tuple[Any, ...]:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        place = self._place.roles()[role]
        group = self._groups[role]
        waiting = Waiting(f"role {role}", (place.workers,), Cluster(ray))
        wait_for_group(group, waiting, seconds=self._place.patience_seconds)
        actor = ray.remote(WORKERS[role])
        # Ray's own restarts are not used: a rank that came back alone would be empty.
        return tuple(
            actor.options(
                **taken(place.workers),
                max_restarts=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=group, placement_group_bundle_index=index
                ),
            ).remote(self._job, place)
            for index in range(place.workers.count)
        )

    def _join(self, ray: Any, role: str) -> None:
        workers, patience = self._workers[role], self._place.patience_seconds
        # Rank 0 serves the group's rendezvous, so that the address must be its own.
        address = ray.get(workers[0].address.remote(), timeout=patience)
        joining = [
            worker.join.remote(rank, len(workers), address) for rank, worker in enumerate(workers)
        ]
        ray.get(joining, timeout=patience)

    def _next_attempt(self) -> int:
        """One more than ever before, also after a restart of this actor."""
        path = self._out / ATTEMPT_NAME
        attempt = 1 + (int(path.read_text()) if path.exists() else 0)
        with write_atomically(path) as file:
            file.write(str(attempt).encode())
        return attempt
