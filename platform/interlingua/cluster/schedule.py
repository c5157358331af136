"""RayBackend: the ready stages of a graph run side by side as Ray tasks.

Knows no recipe. A worker that dies is replaced, and its stage goes on from its own checkpoint.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlingua.cluster.session import ray_session
from interlingua.stages.backend import Context, StagesFailed, Watcher, name_of
from interlingua.store.artifact import Artifact, Stage, build, find

POLL_SECONDS = 0.5
WORKER_DEATHS_SURVIVED = 3


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
                watcher.on_done(stage, artifact)
        if missing:
            with ray_session() as ray:
                _Schedule(ray, missing, root, context, watcher).run()


class _Schedule:
    """What waits, what runs, what failed."""

    def __init__(
        self, ray: Any, missing: list[Stage], root: Path, context: Context, watcher: Watcher
    ) -> None:
        self._ray, self._root, self._context, self._watcher = ray, root, context, watcher
        self._waiting = {name_of(stage): stage for stage in missing}
        self._running: dict[Any, Stage] = {}
        self._failed: dict[str, BaseException] = {}
        self._build = ray.remote(build).options(
            num_cpus=context.placement.cpus_per_stage, max_retries=WORKER_DEATHS_SURVIVED
        )

    def run(self) -> None:
        """Submit what is ready and collect what is finished, until nothing is left."""
        while self._submit_ready() or self._running:
            self._watcher.on_tick(list(self._running.values()))
            finished, _ = self._ray.wait(list(self._running), timeout=POLL_SECONDS)
            for ref in finished:
                self._collect(ref)
        if self._failed:
            raise StagesFailed(self._failed, skipped=tuple(self._waiting))

    def _submit_ready(self) -> bool:
        ready = [stage for stage in self._waiting.values() if self._is_ready(stage)]
        for stage in ready:
            del self._waiting[name_of(stage)]
            self._running[self._build.remote(stage, self._root, self._context)] = stage
        return bool(ready)

    def _is_ready(self, stage: Stage) -> bool:
        unfinished = {*self._waiting, *map(name_of, self._running.values()), *self._failed}
        return unfinished.isdisjoint(map(name_of, stage.inputs.values()))

    def _collect(self, ref: Any) -> None:
        stage = self._running.pop(ref)
        try:
            artifact: Artifact = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            self._failed[name_of(stage)] = error.cause  # what the stage raised, not Ray's wrapping
        except self._ray.exceptions.RayError as error:
            self._failed[name_of(stage)] = error
        else:
            self._watcher.on_done(stage, artifact)
