"""RayBackend: the ready stages of a graph run side by side: as Ray tasks, or in a host's reader.

Knows no recipe: it is given the stages in the order of their urgency. A worker that dies is
replaced, and its stage goes on from its own checkpoint.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlingua.cluster.asked import Asked, asked_on
from interlingua.cluster.cards import cards_of
from interlingua.cluster.failures import raised_by_worker
from interlingua.cluster.nodes import Cluster, Fit
from interlingua.cluster.placement import DoesNotFit, Waiting, check_possible, options
from interlingua.cluster.preflight import preflight
from interlingua.cluster.readers import Readers, key_of
from interlingua.cluster.session import check_processes, is_private, ray_session
from interlingua.specs.placement import Placement, WorkKind
from interlingua.stages.running.context import Context, StagesFailed, Watcher, names_of
from interlingua.store.artifact import Artifact, Stage, build, find, folder, verify
from interlingua.store.lock import is_locked

POLL_SECONDS = 0.5
WORKER_DEATHS_SURVIVED = 3


class WorkerLost(RuntimeError):
    """The worker process of a stage died again and again."""


class RayBackend:
    """Builds stages on a Ray cluster; starts none when everything is done."""

    def build_all(
        self, stages: Sequence[Stage], root: Path, context: Context, watcher: Watcher
    ) -> None:
        """Build every stage whose inputs can be built; raises StagesFailed at the end."""
        missing = []
        for stage in stages:
            if (artifact := find(stage, root)) is None:
                missing.append(stage)
            else:
                verify(artifact)
                watcher.on_done(stage, artifact)
        if missing:
            with ray_session() as ray:
                cluster = Cluster(ray, is_private=is_private())
                check_stages(missing, context.placement, cluster)
                cards, notices = cards_of(ray, cluster.alive(), context.placement)
                lines = preflight(missing, context.placement, cluster, cards)
                watcher.on_preflight([*notices, *lines])
                _Schedule(ray, missing, root, context, watcher, cluster).run()


class _Schedule:
    """State of a build: the stages that wait, that run, and that failed."""

    def __init__(
        self,
        ray: Any,
        missing: list[Stage],
        root: Path,
        context: Context,
        watcher: Watcher,
        cluster: Cluster,
    ) -> None:
        self._ray, self._root, self._context, self._watcher = ray, root, context, watcher
        self._waiting = {stage.key: stage for stage in missing}
        self._names = names_of(missing)
        self._running: dict[Any, Stage] = {}
        self._failed: dict[str, BaseException] = {}
        # `max_calls` cannot be set later: a process that had a card must not keep its memory.
        self._build = ray.remote(max_retries=WORKER_DEATHS_SURVIVED)(build)
        self._build_on_card = ray.remote(max_retries=WORKER_DEATHS_SURVIVED, max_calls=1)(build)
        self._readers = Readers(ray, missing, WORKER_DEATHS_SURVIVED)
        self._cluster = cluster
        self._asked: dict[str, Asked] = {}
        self._waits: dict[Any, Waiting] = {}  # until the stage has begun

    def run(self) -> None:
        """Submit what is ready and collect what is finished, until nothing is left."""
        while self._submit_ready() or self._running:
            check_processes()
            self._watcher.on_tick(list(self._running.values()))
            finished, _ = self._ray.wait(list(self._running), timeout=POLL_SECONDS)
            for ref in finished:
                self._collect(ref)
            self._step_waits()
        if self._failed:
            causes = {
                self._names[key]: _cause(self._ray, error) for key, error in self._failed.items()
            }
            skipped = [self._names[key] for key in self._waiting]
            # The first error of a worker brings the worker's traceback along.
            raise StagesFailed(causes, skipped) from next(iter(self._failed.values()))

    def _submit_ready(self) -> bool:
        ready = [stage for stage in self._waiting.values() if self._is_ready(stage)]
        # What has its host open goes first: a reader that waits would hold its cores. The sort is
        # stable, so that urgency decides among the others.
        for stage in sorted(ready, key=lambda stage: not self._readers.is_open(stage)):
            if self._readers.is_busy(stage) or not self._fits_beside(stage):
                continue
            del self._waiting[stage.key]
            ref = self._submitted(stage)
            self._running[ref] = stage
            own = (self._asked_of(stage).own,)
            self._waits[ref] = Waiting(self._names[stage.key], own, self._cluster)
        self._readers.end_free()
        return bool(ready)

    def _submitted(self, stage: Stage) -> Any:
        asked = self._asked_of(stage)
        if key_of(stage) is not None:
            return self._readers.submit(stage, self._root, self._context, asked)
        build = self._build_on_card if asked.own.gpus else self._build
        # What is heavy and needs no card would else fill the head first.
        spread = {"scheduling_strategy": "SPREAD"} if asked.own.memory else {}
        build = build.options(name=stage.name, **options(asked.own), **spread)
        context = replace(self._context, placement=asked.placement)
        return build.remote(stage, self._root, context, self._context.placement)

    def _fits_beside(self, stage: Stage) -> bool:
        """True where all of it fits beside all that runs: nothing is let in by parts.

        In Ray's queue no urgent stage overtakes another, and groups that were waited for one by one
        would each hold what the next one waits for.
        """
        # Nothing runs that would free a place later: it is handed over whatever it asks for.
        if not self._running:
            return True
        if len(self._running) >= self._context.placement.stages_side_by_side:
            return False
        held = self._readers.held()
        # The next stage of an open reader has its place already.
        held.pop(key_of(stage) or (), None)
        others = [self._asked_of(one) for one in self._running.values()] + list(held.values())
        runs = [one.run for one in (self._asked_of(stage), *others)]
        return self._cluster.fit(runs) is not Fit.NEVER

    def _asked_of(self, stage: Stage) -> Asked:
        """What it asks for, once its inputs are there: then more is known of them."""
        if stage.key not in self._asked:
            self._asked[stage.key] = asked_on(stage, self._context.placement, self._cluster)
        return self._asked[stage.key]

    def _step_waits(self) -> None:
        """Say which stages have no process yet; those that never can get one fail."""
        for ref, waiting in list(self._waits.items()):
            stage = self._running[ref]
            if is_locked(folder(stage, self._root)):
                del self._waits[ref]
                continue
            try:
                waiting.step()
            except DoesNotFit as error:
                self._give_up(ref, error)

    def _give_up(self, ref: Any, error: DoesNotFit) -> None:
        stage = self._running.pop(ref)
        del self._waits[ref]
        self._failed[stage.key] = error
        if key_of(stage) is None:
            self._ray.cancel(ref)
        self._readers.note_end(stage, is_failed=True)

    def _is_ready(self, stage: Stage) -> bool:
        running = {stage.key for stage in self._running.values()}
        # An input that neither waits, runs nor failed is built. Behind a failed one a stage stays
        # waiting, and is reported as skipped.
        unfinished = self._waiting.keys() | running | self._failed.keys()
        return unfinished.isdisjoint(up.key for up in stage.upstream.values())

    def _collect(self, ref: Any) -> None:
        stage = self._running.pop(ref)
        self._waits.pop(ref, None)
        try:
            artifact: Artifact = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._failed[stage.key] = error
            self._readers.note_end(stage, is_failed=True)
        else:
            self._readers.note_end(stage, is_failed=False)
            self._watcher.on_done(stage, artifact)


def check_stages(stages: Sequence[Stage], placement: Placement, cluster: Cluster) -> None:
    """Raise where a stage never finds a place: Ray would wait for it silently."""
    seen = set()
    for stage in stages:
        asked = asked_on(stage, placement, cluster)
        # A pool works with as few workers as there are; groups are whole or not at all.
        is_pool = stage.work in (WorkKind.EXTRACTION, WorkKind.VERBALIZING)
        workers = [replace(one, count=1) for one in asked.workers] if is_pool else asked.workers
        for run in ((asked.own,), tuple(workers)):
            if run not in seen:
                seen.add(run)
                check_possible(stage.name, run, cluster)


def _cause(ray: Any, error: Any) -> BaseException:
    """Exception of the stage itself, or WorkerLost, without Ray's wrapping."""
    if isinstance(error, DoesNotFit):
        return error
    if isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.RayActorError)):
        return WorkerLost(
            f"its worker process died {WORKER_DEATHS_SURVIVED + 1} times (killed, out of memory, "
            "or crashed in native code); run again to go on from its last checkpoint"
        )
    return raised_by_worker(ray, error)
