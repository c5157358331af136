"""The reports and records of a graph's stages, for a tracker. Knows no backend, no MLflow.

No stage waits for the tracker: a thread beside the work uploads. What is not uploaded a while after
the graph is done is uploaded by the next run of the same command.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from interlingua.stages.running.context import Watcher
from interlingua.stages.running.machine import SAMPLE_EVERY_SECONDS, MachineLog
from interlingua.stages.running.recipe_runs import RecipeRun, recipe_run
from interlingua.stages.running.stage_runs import (
    FAILED,
    KILLED,
    SUCCEEDED,
    finished_stage,
    stage_so_far,
    started,
)
from interlingua.stages.running.uploader import Uploader
from interlingua.store.artifact import Artifact, Stage, find
from interlingua.tracking.runs import RUNNING, Parent, Run

UPLOAD_EVERY_SECONDS = 30.0
PATIENCE_SECONDS = 60.0  # with a tracker that has not answered when the graph is done
STOPPED_PATIENCE_SECONDS = 1.5  # when the job was told to stop

logger = logging.getLogger(__name__)


class TrackingWatcher:
    """Passes every event on to another watcher, and uploads it in a thread beside the work."""

    def __init__(self, watcher: Watcher, uploader: Uploader, root: Path) -> None:
        if not isinstance(uploader.run, RecipeRun):
            raise TypeError("a sweep builds nothing itself: watch the runs of its recipes")
        self._watcher, self._uploader, self._root = watcher, uploader, root
        self._run: RecipeRun = uploader.run
        self._artifacts: dict[str, Artifact] = {}
        self._unfinished: dict[str, Stage] = {}
        self._uploads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, no executor: Python must be able to end although a tracker hangs.
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")
        self._began, self._last_look = time.time(), time.monotonic()
        self._machine: MachineLog | None = None  # from when something is built

    def __enter__(self) -> "TrackingWatcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        is_stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        status = SUCCEEDED if kind is None else KILLED if is_stopped else FAILED
        # In this order: the last state of unfinished runs, what the uploader holds back, the end.
        if kind is None or self._artifacts or self._machine:  # else it failed before it began
            self._uploads.put(partial(self._add_recipe, status))
        for stage in self._unfinished.values():
            self._uploads.put(partial(self._add, stage, has_stopped=True))
        self._uploads.put(self._uploader.finish)
        self._uploads.put(None)
        # Where every stage was reused nothing ever ticked, and the thread is still to start.
        self._start()
        # Who stops a job may wait for three seconds only (`ray job stop`) before they kill it.
        patience = STOPPED_PATIENCE_SECONDS if is_stopped else PATIENCE_SECONDS
        self._thread.join(patience)
        if self._thread.is_alive():
            logger.warning(
                "not all results are tracked: the tracker was not done after %.0f s; nothing is "
                "lost: run the same command again to upload the rest",
                patience,
            )
            self._uploader.be_silent()

    def on_preflight(self, lines: Sequence[str]) -> None:
        """Pass it on: the table of resources belongs to no run of a tracker."""
        self._watcher.on_preflight(lines)

    def on_done(self, stage: Stage, artifact: Artifact) -> None:
        """Upload the artifact's run, also of a reused stage: an earlier upload may have failed."""
        self._watcher.on_done(stage, artifact)
        self._unfinished.pop(stage.key, None)
        self._artifacts[stage.key] = artifact
        name = self._run.name_of(stage)
        made = partial(finished_stage, artifact, name, self._within)
        self._uploads.put(partial(self._uploader.add_made, made))

    def on_tick(self, running: Sequence[Stage]) -> None:
        """Now and then upload what the running stages reported."""
        self._watcher.on_tick(running)
        if self._machine is None:
            # What was done before counts: a run that goes on goes on in its curves.
            starts = [started(artifact.record) for artifact in self._artifacts.values()]
            began = min([self._began, *starts])
            self._machine = MachineLog(self._uploader.tracker.system_metrics, began)
        self._start()
        self._unfinished |= {stage.key: stage for stage in running}
        # A slow tracker is asked less often: there is never more than one round of looks waiting.
        if time.monotonic() - self._last_look > UPLOAD_EVERY_SECONDS and self._uploads.empty():
            self._last_look = time.monotonic()
            self._uploads.put(partial(self._add_recipe, RUNNING))
            for stage in running:
                self._uploads.put(partial(self._add, stage, has_stopped=False))

    @property
    def _within(self) -> tuple[Parent, ...]:
        return (*self._run.parents, self._run.identity)

    def _add(self, stage: Stage, *, has_stopped: bool) -> None:
        name = self._run.name_of(stage)
        self._uploader.add_made(
            partial(stage_so_far, stage, self._root, name, self._within, has_stopped=has_stopped)
        )

    def _add_recipe(self, status: str) -> None:
        self._uploader.add_made(partial(self._recipe_so_far, status))

    def _recipe_so_far(self, status: str) -> Run:
        # In the order of the graph. At its end also what nobody asked for now: `--until` ends
        # earlier than the run may have come before.
        is_whole = status == SUCCEEDED
        found = (
            self._artifacts.get(stage.key) or (find(stage, self._root) if is_whole else None)
            for stage in self._run.stages
        )
        return recipe_run(
            self._run,
            self._root,
            [artifact for artifact in found if artifact is not None],
            status,
            system=self._machine.reports if self._machine else (),
            began=self._began if self._machine else None,
        )

    def _start(self) -> None:
        # Not with the first reused stage: after those a backend imports what it runs on, and
        # two threads that import at once can see halves of each other's modules.
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        is_parent_uploaded = False
        while True:
            try:
                upload = self._uploads.get(timeout=SAMPLE_EVERY_SECONDS)
            except Empty:
                upload = _nothing
            if upload is None:
                return
            if self._machine is not None and not is_parent_uploaded and upload is not _nothing:
                # Before its stages, which would make a run that began with the first of them.
                self._add_recipe(RUNNING)
                is_parent_uploaded = True
            upload()
            if self._machine is not None:
                self._machine.sample()


def _nothing() -> None:
    """Nothing to upload: time to look at the machine."""
