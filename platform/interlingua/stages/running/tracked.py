"""The reports and records of a graph's stages, for a tracker. Knows no backend, no MLflow.

No stage waits for the tracker: a thread beside the work uploads. What is not uploaded a while after
the graph is done is uploaded by the next run of the same command.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from interlingua.specs.text.canonical import jsonable
from interlingua.stages.running.context import Watcher
from interlingua.store.artifact import Artifact, Stage, find, folder
from interlingua.store.atomic import write_atomically
from interlingua.store.partial import latest_folder
from interlingua.store.progress import read_metrics
from interlingua.store.record import Record
from interlingua.tracking.database import tracking_uri
from interlingua.tracking.runs import Outcome, StageRun, Tracker, Uploader

UPLOAD_EVERY_SECONDS = 30.0
PATIENCE_SECONDS = 60.0  # with a tracker that has not answered when the graph is done
STOPPED_PATIENCE_SECONDS = 1.5  # when the job was told to stop
UPLOADED_NAME = "tracked.json"
SQLITE = "sqlite:///"
FAILED_GATES = "failed_gates"  # names of the gates that an evaluation did not pass
# Of the provenance; all of it stands in the record.
TAGGED = ("git_commit", "git_is_dirty", "hostname", "ray_job_id")

logger = logging.getLogger(__name__)


class TrackingWatcher:
    """Passes every event on to another watcher, and uploads it in a thread beside the work."""

    def __init__(self, watcher: Watcher, uploader: Uploader, root: Path) -> None:
        self._watcher, self._uploader, self._root = watcher, uploader, root
        self._unfinished: dict[str, Stage] = {}
        self._uploads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, no executor: Python must be able to end although a tracker hangs.
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")
        self._last_look = time.monotonic()

    def __enter__(self) -> "TrackingWatcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # In this order: the last state of unfinished runs, what the uploader holds back, the end.
        for stage in self._unfinished.values():
            self._uploads.put(partial(self._add, stage, has_stopped=True))
        self._uploads.put(self._uploader.finish)
        self._uploads.put(None)
        # Where every stage was reused nothing ever ticked, and the thread is still to start.
        self._start()
        # Who stops a job may wait for three seconds only (`ray job stop`) before they kill it.
        is_stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
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
        self._uploads.put(lambda: self._uploader.add(finished_run(artifact)))

    def on_tick(self, running: Sequence[Stage]) -> None:
        """Now and then upload what the running stages reported."""
        self._watcher.on_tick(running)
        self._start()
        self._unfinished |= {stage.key: stage for stage in running}
        # A slow tracker is asked less often: there is never more than one round of looks waiting.
        if time.monotonic() - self._last_look > UPLOAD_EVERY_SECONDS and self._uploads.empty():
            self._last_look = time.monotonic()
            for stage in running:
                self._uploads.put(partial(self._add, stage, has_stopped=False))

    def _add(self, stage: Stage, *, has_stopped: bool) -> None:
        self._uploader.add(run_so_far(stage, self._root, has_stopped=has_stopped))

    def _start(self) -> None:
        # Not with the first reused stage: after those a backend imports what it runs on, and
        # two threads that import at once can see halves of each other's modules.
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        while (upload := self._uploads.get()) is not None:
            try:
                upload()
            except (
                Exception
            ) as error:  # unreadable reports, say: of one stage, and no reason to end
                logger.warning("a stage is not tracked: %s: %s", type(error).__name__, error)


class OnceTracker:
    """Passes on to another tracker what a file in the run root does not list as uploaded.

    Only what is finished is remembered, and when: a stage that is built anew is passed on again.
    The file may be lost, old or another process's: a tracker adds only what it lacks.
    """

    def __init__(self, tracker: Tracker, root: Path) -> None:
        self._tracker, self._path, self._uri = tracker, root / UPLOADED_NAME, tracking_uri(root)
        self._finished: dict[str, str] | None = None

    def upload(self, experiment: str, runs: Sequence[StageRun]) -> None:
        """Add what is missing of these runs; asks nothing of the tracker if nothing is."""
        if self._finished is None:
            self._finished = self._read()
        ends = {
            f"{experiment}/{run.name}": run.outcome.finished if run.outcome else None
            for run in runs
        }
        missing = [
            run
            for run, (name, end) in zip(runs, ends.items(), strict=True)
            if end is None or self._finished.get(name) != end
        ]
        if missing:
            # The file after the upload: a crash between the two uploads again, which adds nothing.
            self._tracker.upload(experiment, missing)
            known = self._finished | ends
            self._finished = {name: end for name, end in known.items() if end is not None}
            self._write(self._finished)

    def be_silent(self) -> None:
        """Let the other tracker print nothing from now on."""
        self._tracker.be_silent()

    def _read(self) -> dict[str, str]:
        """Uploaded runs by name, each with its end; none where the tracker is another."""
        # A database that was deleted has no run, whatever the file lists: all is uploaded again.
        is_lost = self._uri.startswith(SQLITE) and not Path(self._uri[len(SQLITE) :]).exists()
        if is_lost or not self._path.exists():
            return {}
        try:
            uploaded = json.loads(self._path.read_bytes())
            return dict(uploaded["finished"]) if uploaded["tracker"] == self._digest() else {}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self._path} is unreadable ({error!r}); delete it") from error

    def _write(self, finished: dict[str, str]) -> None:
        uploaded = {"tracker": self._digest(), "finished": finished}
        with write_atomically(self._path) as file:
            file.write(json.dumps(uploaded, indent=2).encode())

    def _digest(self) -> str:
        # An address may hold a password.
        return hashlib.sha256(self._uri.encode()).hexdigest()[:12]


def finished_run(artifact: Artifact) -> StageRun:
    """The artifact as trackers see it."""
    record = artifact.record
    provenance = asdict(record.provenance)
    tags = {name: provenance[name] for name in TAGGED}
    metrics = {name: value for name, value in record.metrics.items() if name != FAILED_GATES}
    return StageRun(
        kind=record.kind,
        label=record.label,
        fingerprint=record.fingerprint,
        spec=record.spec,
        reports=read_metrics(artifact.path),
        outcome=Outcome(
            started=record.started,
            finished=record.finished,
            metrics={"seconds": record.seconds, **_peak(record), **metrics},
            # MLflow's own page shows the commit under its own name.
            tags={"mlflow.source.git.commit": record.provenance.git_commit, **tags},
            # Only an evaluation has gates.
            failed_gates=tuple(record.metrics.get(FAILED_GATES, [])),
        ),
    )


def run_so_far(stage: Stage, root: Path, *, has_stopped: bool) -> StageRun:
    """The stage as far as it got; another driver may have finished it meanwhile."""
    if (artifact := find(stage, root)) is not None:
        return finished_run(artifact)
    spec: Any = jsonable(stage.spec)
    return StageRun(
        kind=stage.kind,
        label=stage.label,
        fingerprint=stage.fingerprint,
        spec=spec,
        reports=read_metrics(latest_folder(folder(stage, root))),
        outcome=None,
        has_stopped=has_stopped,
    )


def _peak(record: Record) -> dict[str, int]:
    return {} if record.peak_bytes is None else {"peak_bytes": record.peak_bytes}
