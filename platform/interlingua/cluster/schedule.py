"""RayBackend: the ready stages of a graph run side by side: as Ray tasks, or in a host's reader.

Knows no recipe: it is given the stages in the order of their urgency. A worker that dies is
replaced, and its stage goes on from its own checkpoint.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from interlingua.cluster.failures import raised_by_worker
from interlingua.cluster.placement import fit_together, nodes_of, run_of
from interlingua.cluster.preflight import preflight
from interlingua.cluster.readers import Readers, key_of
from interlingua.cluster.session import check_processes, cpus_at_most, ray_session
from interlingua.specs.placement import Placement
from interlingua.stages.running.context import Context, StagesFailed, Watcher, names_of
from interlingua.store.artifact import Artifact, Stage, build, find, verify

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
                _check_fits(ray, context.placement)
                watcher.on_preflight(list(preflight(missing, context.placement, nodes_of(ray))))
                _Schedule(ray, missing, root, context, watcher).run()


class _Schedule:
    """State of a build: the stages that wait, that run, and that failed."""

    def __init__(
        self, ray: Any, missing: list[Stage], root: Path, context: Context, watcher: Watcher
    ) -> None:
        self._ray, self._root, self._context, self._watcher = ray, root, context, watcher
        self._waiting = {stage.key: stage for stage in missing}
        self._names = names_of(missing)
        self._running: dict[Any, Stage] = {}
        self._failed: dict[str, BaseException] = {}
        self._build = ray.remote(max_retries=WORKER_DEATHS_SURVIVED)(build)
        self._readers = Readers(ray, missing, WORKER_DEATHS_SURVIVED)

    def run(self) -> None:
        """Submit what is ready and collect what is finished, until nothing is left."""
        while self._submit_ready() or self._running:
            check_processes()
            self._watcher.on_tick(list(self._running.values()))
            finished, _ = self._ray.wait(list(self._running), timeout=POLL_SECONDS)
            for ref in finished:
                self._collect(ref)
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
            if self._readers.is_busy(stage) or not self._has_cores(stage):
                continue
            if not self._fits_beside(stage):
                continue
            del self._waiting[stage.key]
            self._running[self._submitted(stage)] = stage
        self._readers.end_free()
        return bool(ready)

    def _submitted(self, stage: Stage) -> Any:
        if key_of(stage) is not None:
            return self._readers.submit(stage, self._root, self._context, self._num_cpus(stage))
        build = self._build.options(name=stage.name, num_cpus=self._num_cpus(stage))
        return build.remote(stage, self._root, self._context, self._context.placement)

    def _has_cores(self, stage: Stage) -> bool:
        """True where it could run at once: in Ray's queue no urgent stage overtakes another."""
        # Nothing runs that would free cores later: it is handed over whatever it asks for.
        if not self._running:
            return True
        if len(self._running) >= self._context.placement.stages_side_by_side:
            return False
        asked = sum(map(self._all_cpus, [stage, *self._running.values()]))
        return asked <= cpus_at_most(self._ray)

    def _fits_beside(self, stage: Stage) -> bool:
        """True where its groups fit beside those of the runs that go on; alone it may always."""
        placement = self._context.placement
        own = run_of(placement, stage.work)
        others = [run_of(placement, one.work) for one in self._running.values()]
        others = [run for run in others if run]
        # Alone: an autoscaler may still add the nodes that it waits for.
        if not own or not others:
            return True
        return fit_together([*others, own], nodes_of(self._ray))

    def _all_cpus(self, stage: Stage) -> float:
        """CPUs of the stage and all its workers."""
        own = self._num_cpus(stage)
        return own if stage.work is None else own + self._context.placement.cpus_of(stage.work)

    def _num_cpus(self, stage: Stage) -> float:
        placement = self._context.placement
        if stage.work is not None and placement.workers_of(stage.work) is not None:
            return 0  # it only waits for its workers: what they need must not be taken by it
        return placement.cpus_per_stage

    def _is_ready(self, stage: Stage) -> bool:
        running = {stage.key for stage in self._running.values()}
        # An input that neither waits, runs nor failed is built. Behind a failed one a stage stays
        # waiting, and is reported as skipped.
        unfinished = self._waiting.keys() | running | self._failed.keys()
        return unfinished.isdisjoint(up.key for up in stage.upstream.values())

    def _collect(self, ref: Any) -> None:
        stage = self._running.pop(ref)
        try:
            artifact: Artifact = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._failed[stage.key] = error
            self._readers.note_end(stage, is_failed=True)
        else:
            self._readers.note_end(stage, is_failed=False)
            self._watcher.on_done(stage, artifact)


def _check_fits(ray: Any, placement: Placement) -> None:
    """Raise where a process fits on no node, or a training not on all: Ray would wait silently."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for field, resource, asked in _asked(placement):
        largest = max(node.get(resource, 0) for node in nodes)
        if asked > largest:
            raise ValueError(
                f"Placement.{field} is {asked:g}; the largest node has {largest:g} {resource}s"
            )
    if (training := placement.training.workers) is None:
        return
    for resource, asked in (("CPU", training.cpus), ("GPU", training.gpus)):
        total = sum(node.get(resource, 0) for node in nodes)
        if training.count * asked > total:
            raise ValueError(
                f"Placement.training.workers is {training.count} of {asked:g} {resource}s each, "
                f"all at once; the cluster has {total:g}"
            )


def _asked(placement: Placement) -> Iterator[tuple[str, str, float]]:
    """Field, resource and amount of what one process of each kind takes."""
    yield "cpus_per_stage", "CPU", placement.cpus_per_stage
    pools = {
        "extraction.workers": placement.extraction.workers,
        "training.workers": placement.training.workers,
        "verbalizing.workers": placement.verbalizing.workers,
        **{f"extraction.hosts.{h.tag}.workers": h.workers for h in placement.extraction.hosts},
    }
    for field, workers in pools.items():
        if workers is None:
            continue
        yield f"{field}.cpus", "CPU", workers.cpus
        yield f"{field}.gpus", "GPU", workers.gpus


def _cause(ray: Any, error: Any) -> BaseException:
    """Exception of the stage itself, or WorkerLost, without Ray's wrapping."""
    if isinstance(error, (ray.exceptions.WorkerCrashedError, ray.exceptions.RayActorError)):
        return WorkerLost(
            f"its worker process died {WORKER_DEATHS_SURVIVED + 1} times (killed, out of memory, "
            "or crashed in native code); run again to go on from its last checkpoint"
        )
    return raised_by_worker(ray, error)
