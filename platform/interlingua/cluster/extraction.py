"""RayPool: workers of one stage as actors that fetch their next item when they are idle.

A KeepingPool has them for one stage after the other: what they opened is not opened again. Without
workers the stage's own process does the work.

Knows nothing of what a worker does. An actor that dies, alone or with its node, is replaced, and
its item goes to whoever is free; what fails for good is raised as it was, without Ray's wrapping.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from interlingua.cluster.failures import raised_by_worker
from interlingua.cluster.local import LocalPool
from interlingua.cluster.nodes import Cluster
from interlingua.cluster.placement import Waiting, options
from interlingua.specs.placement import Workers
from interlingua.stages.running.context import Worker

DEATHS_SURVIVED = 3
POLL_SECONDS = 1.0


class PoolLost(RuntimeError):
    """One item cost the lives of several actors."""


class RayPool:
    """A pool of actors; holds no state, so that it can travel to the stage that uses it."""

    def map(
        self, worker: Worker, job: Any, items: Iterable[Any], workers: Workers | None
    ) -> Iterator[Any]:
        """Results of all items as they finish, which need not be the order of the items.

        `worker(job)` is called once in an actor and returns a function of one item.
        """
        if workers is None:
            yield from LocalPool().map(worker, job, items, workers)
            return
        actors = _actors(worker, job, workers)
        try:
            yield from actors.results(items)
        finally:
            actors.dismiss()


class KeepingPool:
    """A pool whose workers stay for the next stage, as long as that one's job is equal.

    They go with the process that holds the pool.
    """

    def __init__(self) -> None:
        self._asked: tuple[Worker, Any, Workers | None] | None = None
        self._open: _Actors | _InProcess | None = None

    def map(
        self, worker: Worker, job: Any, items: Iterable[Any], workers: Workers | None
    ) -> Iterator[Any]:
        """Results of all items as they finish, which need not be the order of the items."""
        if self._open is None or self._asked != (worker, job, workers):
            self._dismiss()
            self._asked = (worker, job, workers)
            self._open = (
                _InProcess(worker, job) if workers is None else _actors(worker, job, workers)
            )
        try:
            yield from self._open.results(items)
        except BaseException:
            # Whoever failed, or was left in the middle of an item, is not handed on.
            self._dismiss()
            raise

    def _dismiss(self) -> None:
        if self._open is not None:
            self._open.dismiss()
        self._open = None


class _InProcess:
    """One worker in this process, made with its first item."""

    def __init__(self, worker: Worker, job: Any) -> None:
        self._worker, self._job = worker, job
        self._made: Callable[[Any], Any] | None = None

    def results(self, items: Iterable[Any]) -> Iterator[Any]:
        """The results of all items, one after the other."""
        for item in items:
            self._made = self._made or self._worker(self._job)
            yield self._made(item)

    def dismiss(self) -> None:
        """Forget the worker, and with it what it holds."""
        self._made = None


def _actors(worker: Worker, job: Any, workers: Workers) -> "_Actors":
    import ray

    actor_class = ray.remote(_Actor).options(**options(workers))
    return _Actors(ray, lambda: actor_class.remote(worker, job), workers)


class _Actor:
    """Makes its worker with the first item, so that a failure to make it is the item's."""

    def __init__(self, worker: Worker, job: Any) -> None:
        self._worker, self._job = worker, job
        self._made: Callable[[Any], Any] | None = None

    def ready(self) -> None:
        """Return, once the actor has a place to run."""

    def work(self, item: Any) -> Any:
        """The worker's result for one item."""
        if self._made is None:
            self._made = self._worker(self._job)
        return self._made(item)


class _Actors:
    """The actors of a pool: each is starting, idle, or working on a numbered item.

    Ray's own restarts are not used: a restarted actor keeps its item while it waits for room, for
    ever where its node is gone for good.
    """

    def __init__(self, ray: Any, hire: Callable[[], Any], workers: Workers) -> None:
        self._ray, self._hire, self._count = ray, hire, workers.count
        self._one, self._cluster = replace(workers, count=1), Cluster(ray)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._working: dict[Any, tuple[Any, tuple[int, Any]]] = {}
        self._waiting: deque[tuple[int, Any]] = deque()  # not dealt yet, or again: their actor died
        # By the number of the item; None counts actors that died before they had one.
        self._deaths: Counter[int | None] = Counter()

    def results(self, items: Iterable[Any]) -> Iterator[Any]:
        """Deal the items to idle actors, until every one has its result."""
        numbered = enumerate(items)
        self._deaths.clear()
        # Items may come from a generator: with fewer of them than actors, fewer are started.
        self._waiting.extend(islice(numbered, self._count))
        for _ in range(len(self._waiting) - len(self._starting) - len(self._idle)):
            self._start()
        # Asked only when an actor is idle: what makes the items is never far ahead of the work.
        is_more = bool(self._waiting)
        while True:
            while self._idle and (self._waiting or is_more):
                item = self._waiting.popleft() if self._waiting else next(numbered, None)
                if item is None:
                    is_more = False
                    break
                actor = self._idle.pop()
                self._working[actor.work.remote(item[1])] = (actor, item)
            if not (is_more or self._waiting or self._working):
                return
            yield from self._collected(self._next_finished())

    def dismiss(self) -> None:
        """End all actors."""
        working = [actor for actor, _ in self._working.values()]
        for actor in (*self._starting.values(), *self._idle, *working):
            self._ray.kill(actor)
        # A kill can miss an actor that is just being made; it ends when nobody holds it.
        for held in (self._starting, self._idle, self._working):
            held.clear()

    def _next_finished(self) -> Any:
        """The first result, or start of an actor; what waits for a place is said meanwhile."""
        waiting = Waiting("a worker process", (self._one,), self._cluster)
        while True:
            references = [*self._starting, *self._working]
            finished, _ = self._ray.wait(references, num_returns=1, timeout=POLL_SECONDS)
            if finished:
                return finished[0]
            # Others that work need no more of them.
            if not self._working:
                waiting.step()

    def _start(self) -> None:
        # Only an actor that runs gets an item: one that still waits for a device would sit on it.
        actor = self._hire()
        self._starting[actor.ready.remote()] = actor

    def _collected(self, ref: Any) -> Iterator[Any]:
        """The result that has come, if any; the actor is idle then, or replaced where it died."""
        starting = self._starting.pop(ref, None)
        actor, item = self._working.pop(ref) if starting is None else (starting, None)
        exceptions = self._ray.exceptions
        try:
            result = self._ray.get(ref)
        except (exceptions.RayActorError, exceptions.OutOfMemoryError) as error:
            self._ray.kill(actor)
            self._note_death(item, error)
            self._start()
        except exceptions.RayError as error:
            raise raised_by_worker(self._ray, error) from error
        else:
            self._idle.append(actor)
            if item is not None:
                yield result

    def _note_death(self, item: tuple[int, Any] | None, error: Exception) -> None:
        number = None if item is None else item[0]
        self._deaths[number] += 1
        if self._deaths[number] > DEATHS_SURVIVED:
            raise PoolLost(
                f"a worker process died {self._deaths[number]} times over the same work; the usual "
                "cause is memory: use fewer workers or smaller batches"
            ) from error
        if item is not None:
            self._waiting.append(item)
