"""MLflow as a tracker: runs that are nested in each other, their files, and registered models.

Knows no stage. With its neighbours in this room the only mlflow import.
"""

import fcntl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlingua.tracking.addresses import addressed
from interlingua.tracking.database import (
    damage_of,
    is_served,
    prepared_mlflow,
    set_mlflow_up,
    silence_mlflow,
    tracking_uri,
)
from interlingua.tracking.registry import judge, register
from interlingua.tracking.runs import (
    NOTE,
    RUN,
    RUNNING,
    Additions,
    File,
    Parent,
    Run,
    additions,
    parent_of,
)
from interlingua.tracking.system import SystemMonitors
from interlingua.tracking.tracker import TrackerDamaged

ARTIFACTS_NAME = "mlartifacts"
LOCK_NAME = "mlflow.lock"
PARENT = "mlflow.parentRunId"
DELETED = "deleted"
KIND, TRAINING = "mlflow.experimentKind", "custom_model_development"  # else its page is of traces
# Of one request, which may hold 1000 entries.
PARAMS_A_BATCH, METRICS_A_BATCH = 100, 800


class MlflowTracker:
    """A database in the run root, or what MLFLOW_TRACKING_URI names."""

    def __init__(self, root: Path) -> None:
        self._root, self._uri = root.absolute(), tracking_uri(root)
        self._client: Any = None
        self._monitors: SystemMonitors | None = None
        self._parents: dict[tuple[str, str], Any] = {}

    def upload(self, experiment: str, runs: Sequence[Run]) -> None:
        """Add what is missing of these runs, one process of the run root at a time."""
        with _alone(self._root / LOCK_NAME):
            try:
                self._upload_all(experiment, runs)
            except Exception as error:  # MLflow wraps whatever it was
                if (damage := damage_of(self._root)) is not None:
                    raise TrackerDamaged(damage) from error
                raise

    def system_metrics(self) -> Mapping[str, float]:
        """What this machine is busy with; nothing yet when asked for the first time."""
        if self._monitors is None:
            set_mlflow_up()
            self._monitors = SystemMonitors()
            return {}  # how busy a processor is, is known since it was asked last
        return self._monitors.sample()

    def be_silent(self) -> None:
        """Let MLflow print nothing from now on."""
        silence_mlflow()

    def _upload_all(self, experiment: str, runs: Sequence[Run]) -> None:
        if self._client is None:
            prepared_mlflow(self._root)
            from mlflow import MlflowClient

            self._client = MlflowClient(self._uri)
        experiment_id = self._experiment_id(experiment)
        for run in runs:
            self._upload(experiment_id, run)

    def _upload(self, experiment_id: str, run: Run) -> None:
        above = self._above(experiment_id, run)
        held = self._found(experiment_id, run.name)
        # Deleted by somebody who did not want to see it; a run that is nested in it goes with it.
        if any(one.info.lifecycle_stage == DELETED for one in (*above, *([held] if held else []))):
            return
        ids = [one.info.run_id for one in above]
        if held is None:
            held = self._made(
                experiment_id, Parent(name=run.name, title=run.title), ids, run.started
            )
        parent = held.data.tags.get(PARENT)
        if (wanted := parent_of(parent, ids)) != parent:
            self._client.set_tag(held.info.run_id, PARENT, wanted)
        self._add(held, run, additions(run, held.data.tags))
        if held.info.status != run.status:
            self._settle(held, run)

    def _above(self, experiment_id: str, run: Run) -> list[Any]:
        """The runs that this one is nested in, made where they are missing."""
        found: list[Any] = []
        for parent in run.parents:
            key = experiment_id, parent.name
            if key not in self._parents:
                ids = [one.info.run_id for one in found]
                self._parents[key] = self._found(experiment_id, parent.name) or self._made(
                    experiment_id, parent, ids, run.started
                )
            found.append(self._parents[key])
        return found

    def _found(self, experiment_id: str, name: str) -> Any:
        """MLflow's run of that name, the first should there be several."""
        from mlflow.entities import ViewType

        query = f"tags.`{RUN}` = '{name}'"
        # Deleted ones, too: what somebody deleted would come back as a new run. They sort behind
        # active ones.
        found = self._client.search_runs([experiment_id], query, ViewType.ALL)
        return min(
            found, key=lambda run: (run.info.lifecycle_stage, run.info.start_time), default=None
        )

    def _made(self, experiment_id: str, run: Parent, above: Sequence[str], started: float) -> Any:
        tags = {RUN: run.name} | ({PARENT: above[-1]} if above else {})
        return self._client.create_run(experiment_id, _milliseconds(started), tags, run.title)

    def _add(self, held: Any, run: Run, added: Additions) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if added.is_empty:
            return
        # Their own times at every attempt: MLflow drops what it has already, should one be cut off.
        metrics = [Metric(v.name, v.value, _milliseconds(v.time), v.step) for v in added.values]
        params = [Param(*entry) for entry in added.params.items()]
        run_id = held.info.run_id
        while params or metrics:
            self._client.log_batch(run_id, metrics[:METRICS_A_BATCH], params[:PARAMS_A_BATCH])
            del metrics[:METRICS_A_BATCH], params[:PARAMS_A_BATCH]
        for file in added.files:
            self._log_file(run_id, file)
        register(self._client, run_id, added.models, is_served=is_served(self._uri))
        judge(self._client, added.judged)
        if held.info.run_name != run.title:
            self._client.update_run(run_id, name=run.title)
        tags = dict(added.tags)
        place = held.info.experiment_id, run_id
        if NOTE in tags:
            tags[NOTE] = addressed(tags[NOTE], *place)
        if run.about is not None:
            self._client.set_experiment_tag(place[0], NOTE, addressed(run.about, *place))
        # Last: they say that all else is there.
        self._client.log_batch(run_id, tags=[RunTag(*entry) for entry in tags.items()])

    def _log_file(self, run_id: str, file: File) -> None:
        place, _, name = file.path.rpartition("/")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / name
            copy.write_bytes(file.content())
            self._client.log_artifact(run_id, str(copy), place or None)

    def _settle(self, held: Any, run: Run) -> None:
        """Set the status of the run, and its end, which is never before its start."""
        if run.status == RUNNING:
            self._client.update_run(held.info.run_id, status=run.status)
            return
        ended = None if run.ended is None else _milliseconds(run.ended)
        if ended is not None:
            ended = max(ended, held.info.start_time)
        self._client.set_terminated(held.info.run_id, run.status, ended)

    def _experiment_id(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return experiment.experiment_id
        # Without a place a database means ./mlruns: of a submitted job, a folder that goes away.
        place = None if is_served(self._uri) else (self._root / ARTIFACTS_NAME).as_uri()
        return self._client.create_experiment(name, place, {KIND: TRAINING})


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one who uploads: MLflow would make two runs of one name."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
