"""Keeps a tracker up to date with the runs of a recipe or a sweep. Knows no backend, no MLflow."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from interlingua.stages.running.recipe_runs import RecipeRun, SweepRun, recipe_run, sweep_run
from interlingua.stages.running.stage_runs import SUCCEEDED, stage_so_far
from interlingua.store.artifact import find, folder
from interlingua.store.atomic import write_atomically
from interlingua.store.partial import latest_folder
from interlingua.tracking.database import tracking_uri
from interlingua.tracking.names import error_line
from interlingua.tracking.runs import RUNNING, Run
from interlingua.tracking.tracker import Tracker, TrackerDamaged

UPLOADED_NAME = "tracked.json"
SQLITE = "sqlite:///"
SHARED = "*"  # in the file: of more than one cell of a sweep

logger = logging.getLogger(__name__)


class Uploader:
    """Keeps a tracker up to date and never stops its caller: what fails waits for `finish`."""

    def __init__(self, tracker: Tracker, run: RecipeRun | SweepRun) -> None:
        self.tracker, self.run = tracker, run
        self._waiting: dict[str, Run] = {}
        self._has_failed = False

    def add(self, run: Run) -> None:
        """Upload the run as it is now, at once or with `finish`."""
        self._waiting[run.name] = run
        if not self._has_failed:
            self._upload()

    def add_made(self, make: Callable[[], Run]) -> None:
        """The same of a run that is still to be made, which may fail, too."""
        try:
            run = make()
        except Exception as error:  # unreadable reports, say: of one run, and no reason to end
            logger.warning("a run is not tracked: %s", error_line(error))
        else:
            self.add(run)

    def finish(self) -> None:
        """Upload what waits, even where it failed before."""
        if self._waiting:
            self._upload()

    def be_silent(self) -> None:
        """Log no failure from now on: the process is ending."""
        self._has_failed = True
        self.tracker.be_silent()

    def _upload(self) -> None:
        try:
            self.tracker.upload(self.run.experiment, list(self._waiting.values()))
        except Exception as error:  # whatever it is: nothing is lost, and no stage may end by it
            if not self._has_failed:
                logger.warning("results are not tracked for now: %s", _remedy(error))
            self._has_failed = True
        else:
            self._waiting.clear()


class OnceTracker:
    """Passes on to another tracker what a file in the run root does not list as uploaded.

    Only what has ended is remembered, and in which state: what is built anew is passed on again.
    The file may be lost, old or another process's: a tracker adds only what it lacks.
    """

    def __init__(self, tracker: Tracker, root: Path) -> None:
        self._tracker, self._path, self._uri = tracker, root / UPLOADED_NAME, tracking_uri(root)
        self._known: dict[str, list[str]] | None = None

    def upload(self, experiment: str, runs: Sequence[Run]) -> None:
        """Add what is missing of these runs; asks nothing of the tracker if nothing is."""
        if self._known is None:
            self._known = self._read()
        missing = [run for run in runs if not self._has(experiment, run)]
        if not missing:
            return
        # The file after the upload: a crash between the two uploads again, which adds nothing.
        self._tracker.upload(experiment, missing)
        for run in missing:
            name, within = f"{experiment}/{run.name}", _within(run)
            if run.status == RUNNING:
                self._known.pop(name, None)
                continue
            _, before = self._known.get(name, ["", within])
            self._known[name] = [run.version, within if before == within else SHARED]
        self._write(self._known)

    def system_metrics(self) -> Mapping[str, float]:
        """What the other tracker sees of this machine."""
        return self._tracker.system_metrics()

    def be_silent(self) -> None:
        """Let the other tracker print nothing from now on."""
        self._tracker.be_silent()

    def _has(self, experiment: str, run: Run) -> bool:
        """True where it is there as it is, also where it has moved up to a sweep already."""
        assert self._known is not None
        version, within = self._known.get(f"{experiment}/{run.name}", ["", ""])
        return version == run.version and within in (_within(run), SHARED)

    def _read(self) -> dict[str, list[str]]:
        """Version and parent of uploaded runs by name; none where the tracker is another."""
        # A database that was deleted has no run, whatever the file lists: all is uploaded again.
        is_lost = self._uri.startswith(SQLITE) and not Path(self._uri[len(SQLITE) :]).exists()
        if is_lost or not self._path.exists():
            return {}
        try:
            uploaded = json.loads(self._path.read_bytes())
            if uploaded["tracker"] != self._digest():
                return {}
            return {name: [version, within] for name, (version, within) in uploaded["runs"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{self._path} is unreadable ({error!r}); delete it") from error

    def _write(self, known: dict[str, list[str]]) -> None:
        with write_atomically(self._path) as file:
            file.write(json.dumps({"tracker": self._digest(), "runs": known}, indent=1).encode())

    def _digest(self) -> str:
        # An address may hold a password.
        return hashlib.sha256(self._uri.encode()).hexdigest()[:12]


def upload_run(
    root: Path, run: RecipeRun, status: str = SUCCEEDED, tracker: Tracker | None = None
) -> None:
    """Upload a run of a recipe and its stages as they lie in the root; builds nothing.

    `status` is MLflow's word: FINISHED, FAILED, KILLED. What fails is logged, and is uploaded by
    the next call.
    """
    uploader = Uploader(tracker or _tracker(root), run)
    done = [found for stage in run.stages if (found := find(stage, root))]
    uploader.add_made(partial(recipe_run, run, root, done, status))
    finished = {artifact.record.fingerprint for artifact in done}
    for stage in run.stages:
        if stage.fingerprint in finished or latest_folder(folder(stage, root)).exists():
            within = (*run.parents, run.identity)
            name = run.name_of(stage)
            uploader.add_made(partial(stage_so_far, stage, root, name, within, has_stopped=True))
    uploader.finish()


def upload_sweep(
    root: Path, sweep: SweepRun, status: str = SUCCEEDED, tracker: Tracker | None = None
) -> None:
    """Upload what stands above all runs of a sweep; what fails is logged."""
    uploader = Uploader(tracker or _tracker(root), sweep)
    uploader.add_made(partial(sweep_run, sweep, status))
    uploader.finish()


def _tracker(root: Path) -> Tracker:
    from interlingua.tracking.mlflow_tracker import MlflowTracker

    return OnceTracker(MlflowTracker(root), root)


def _within(run: Run) -> str:
    return run.parents[-1].name if run.parents else ""


def _remedy(error: Exception) -> str:
    """Cause of a failure, and what to do about it."""
    if isinstance(error, TrackerDamaged):
        return str(error)
    return (
        f"{error_line(error)}; nothing is lost: once MLflow is up, and MLFLOW_TRACKING_URI right, "
        "run the same command again to upload them"
    )
