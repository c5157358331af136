"""What MLflow holds of a run root, counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interlingua.tracking.database import prepared_mlflow, tracking_uri

PARENT_TAG = "mlflow.parentRunId"
MOST_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class TopRun:
    """A run that is nested in no other: its name, its state, and how many runs are in it."""

    name: str
    status: str
    num_nested: int


def top_runs(root: Path) -> Sequence[TopRun]:
    """The runs that a reader sees first."""
    prepared_mlflow(root)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri(root))
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=MOST_RUNS)
    parents = {run.info.run_id: run.data.tags.get(PARENT_TAG) for run in runs}

    def top(run_id: str) -> str:
        parent = parents.get(run_id)
        return run_id if parent is None else top(parent)

    tops = [top(run.info.run_id) for run in runs]
    return [
        TopRun(run.info.run_name, run.info.status, tops.count(run.info.run_id) - 1)
        for run in runs
        if parents[run.info.run_id] is None
    ]
