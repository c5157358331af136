"""MLflow as a tracker: one run for every artifact, nested where the stage run says so.

Knows no stage but what `runs.py` says of it. With tracking/database.py the only mlflow import.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from interlingua.tracking.database import (
    damage_of,
    is_served,
    prepared_mlflow,
    silence_mlflow,
    tracking_uri,
)
from interlingua.tracking.runs import RUN, Additions, StageRun, TrackerDamaged, additions

ARTIFACTS_NAME = "mlartifacts"
LOCK_NAME = "mlflow.lock"
PARENT = "mlflow.parentRunId"
# Of one request, which may hold 1000 entries.
PARAMS_A_BATCH, METRICS_A_BATCH = 100, 800


class MlflowTracker:
    """A database in the run root, or what MLFLOW_TRACKING_URI names."""

    def __init__(self, root: Path) -> None:
        self._root, self._uri = root.absolute(), tracking_uri(root)
        self._client: Any = None

    def upload(self, experiment: str, runs: Sequence[StageRun]) -> None:
        """Add what is missing of these runs, one process of the run root at a time."""
        with _alone(self._root / LOCK_NAME):
            try:
                self._upload_all(experiment, runs)
            except Exception as error:  # MLflow wraps whatever it was
                if (damage := damage_of(self._root)) is not None:
                    raise TrackerDamaged(damage) from error
                raise

    def be_silent(self) -> None:
        """Let MLflow print nothing from now on."""
        silence_mlflow()

    def _upload_all(self, experiment: str, runs: Sequence[StageRun]) -> None:
        if self._client is None:
            prepared_mlflow(self._root)
            from mlflow import MlflowClient

            self._client = MlflowClient(self._uri)
        experiment_id = self._experiment_id(experiment)
        for run in runs:
            self._upload(experiment_id, run)

    def _upload(self, experiment_id: str, run: StageRun) -> None:
        above: list[str] = []
        for depth, title in enumerate(run.parents, start=1):
            name = "/".join(run.parents[:depth])
            above.append(self._held(experiment_id, name, title, above, run).info.run_id)
        held = self._held(experiment_id, run.name, f"{run.kind}/{run.label}", above, run)
        if held.info.lifecycle_stage == "deleted":
            return  # by somebody who did not want to see it
        self._add(held, additions(run, held.data.tags))
        if held.info.status != run.status:
            self._settle([held.info.run_id, *above], run)

    def _held(
        self, experiment_id: str, name: str, title: str, above: Sequence[str], run: StageRun
    ) -> Any:
        """MLflow's run of that name, the first should there be several; made if there is none."""
        from mlflow.entities import ViewType

        query = f"tags.`{RUN}` = '{name}'"
        # Deleted ones, too: what somebody deleted would come back as a new run. They sort behind
        # active ones.
        found = self._client.search_runs([experiment_id], query, ViewType.ALL)
        if found:
            return min(found, key=lambda held: (held.info.lifecycle_stage, held.info.start_time))
        tags = {RUN: name} | ({PARENT: above[-1]} if above else {})
        started = None if run.outcome is None else _milliseconds(run.outcome.started)
        return self._client.create_run(experiment_id, started, tags, title)

    def _add(self, held: Any, added: Additions) -> None:
        from mlflow.entities import Metric, Param, RunTag

        # The same time at every attempt: MLflow drops what it has already, should one be cut off.
        start = held.info.start_time
        metrics = [
            Metric(v.name, v.value, _milliseconds(v.recorded) if v.recorded else start, v.step)
            for v in added.values
        ]
        params = [Param(*entry) for entry in added.params.items()]
        tags = [RunTag(*entry) for entry in added.tags.items()]
        while params or metrics or tags:
            batch = {"metrics": metrics[:METRICS_A_BATCH], "params": params[:PARAMS_A_BATCH]}
            del metrics[:METRICS_A_BATCH], params[:PARAMS_A_BATCH]
            if not metrics and not params:
                # Last: they say that all else is there.
                batch, tags = {**batch, "tags": tags}, []
            self._client.log_batch(held.info.run_id, **batch)

    def _settle(self, run_ids: Sequence[str], run: StageRun) -> None:
        """Set the status of the run; what it is nested in ends with the last that ends in it."""
        if run.status == "RUNNING":
            self._client.update_run(run_ids[0], status=run.status)
            return
        ended = None if run.outcome is None else _milliseconds(run.outcome.finished)
        self._client.set_terminated(run_ids[0], run.status, ended)
        for run_id in run_ids[1:]:
            self._client.set_terminated(run_id, end_time=ended)

    def _experiment_id(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return experiment.experiment_id
        # Without a place a database means ./mlruns: of a submitted job, a folder that goes away.
        place = None if is_served(self._uri) else (self._root / ARTIFACTS_NAME).as_uri()
        return self._client.create_experiment(name, place)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only one who uploads: MLflow would make two runs of one name."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _milliseconds(time: str) -> int:
    return round(1000 * datetime.fromisoformat(time).timestamp())
