"""Stage runs to upload, and an MLflow database to upload them to, made once for all tests."""

import shutil
import sqlite3
from dataclasses import replace

import pytest

from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import RUN, Parent, Report, Run

STARTED, MEASURED = 1_893_553_445.0, 1_893_553_505.0  # a minute in 2030


class Stored:
    """What the MLflow database of a run root holds."""

    def __init__(self, root):
        self.root = root

    def upload(self, *runs):
        MlflowTracker(self.root).upload("world", runs)

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.root / DATABASE_NAME}")

    def held(self):
        """Every run that is not deleted, by its name."""
        experiment = self.client().get_experiment_by_name("world")
        runs = self.client().search_runs([experiment.experiment_id])
        names = [run.data.tags[RUN] for run in runs]
        assert len(set(names)) == len(names), "a stage has two runs"
        return dict(zip(names, runs, strict=True))

    def history(self, run, name):
        points = self.client().get_metric_history(run.info.run_id, name)
        return [(point.step, point.value) for point in points]

    def times(self, run, name):
        points = self.client().get_metric_history(run.info.run_id, name)
        return [point.timestamp / 1000 for point in points]

    def rows(self):
        """Everything that uploads change, by table."""
        with sqlite3.connect(self.root / DATABASE_NAME) as connection:
            tables = ("runs", "metrics", "params", "tags", "experiments", "model_versions")
            return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    root = tmp_path_factory.mktemp("tracking")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        prepared_mlflow(root)
    return root / DATABASE_NAME


@pytest.fixture
def bare_root(tmp_path, monkeypatch):
    """A run root without a database, in the folder where the job was started."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    root.mkdir()
    return root


@pytest.fixture
def root(bare_root, empty_database):
    """A run root with an empty database."""
    shutil.copy(empty_database, bare_root)
    return bare_root


@pytest.fixture
def stored(root):
    return Stored(root)


@pytest.fixture(scope="session")
def stored_in():
    return Stored


@pytest.fixture(scope="session")
def reports():
    """Makes the reports of these steps: a second passes with each."""
    return lambda *steps: [
        Report(step=step, time=STARTED + step, values={"loss": 1 / step, "rate": 0.25})
        for step in steps
    ]


@pytest.fixture(scope="session")
def make_run(reports):
    """Makes a finished run, with some fields changed."""
    run = Run(
        name="encoder/gpt2-0123456789ab",
        title="encoder/gpt2",
        status="FINISHED",
        started=STARTED,
        ended=MEASURED,
        params={"__type__": "EncoderSpec", "host_tag": "gpt2", "seed": 3, "ridge": 0.1},
        series={"train": reports(10, 20)},
        results={"result": {"num_rows": 7, "nll": 0.5, "is_deficient": True}},
        measured=MEASURED,
        tags={"git_commit": "c0ffee", "git_is_dirty": True, "hostname": None},
    )
    return lambda **changes: replace(run, **changes)


@pytest.fixture(scope="session")
def running(make_run, reports):
    """Makes the same run before its end, with reports of these steps."""

    def make(*steps, **changes):
        before = {"status": "RUNNING", "ended": None, "results": {}, "measured": None}
        return make_run(**(before | {"series": {"train": reports(*steps)}} | changes))

    return make


@pytest.fixture(scope="session")
def parent():
    """Makes the name of a run above others."""
    return lambda name: Parent(name=name, title=name)
