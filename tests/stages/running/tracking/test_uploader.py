"""What cannot be uploaded waits, and stops nobody."""

import logging
import shutil
import time

import pytest
from mlflow import MlflowClient
from tests.stages.running.tracking.counted import recipe_run_of, stage

from interlingua.stages.running.uploader import Uploader
from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import Run
from interlingua.tracking.tracker import MemoryTracker

RUN = recipe_run_of(stage())
DEAD_SERVER = "http://user:secret@127.0.0.1:9"


def made(label="a"):
    return Run(name=label, title=label, status="FINISHED", started=1e9, ended=1e9 + 5)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    root = tmp_path_factory.mktemp("empty")
    prepared_mlflow(root)
    return root / DATABASE_NAME


@pytest.fixture
def root(tmp_path, empty_database):
    """A run root with an empty database."""
    shutil.copy(empty_database, tmp_path)
    return tmp_path


def titles(root):
    client = MlflowClient(f"sqlite:///{root / DATABASE_NAME}")
    experiment = client.get_experiment_by_name(RUN.experiment)
    return {run.info.run_name for run in client.search_runs([experiment.experiment_id])}


def test_a_server_that_is_down_costs_one_line_and_little_time(root, monkeypatch, caplog, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_SERVER)
    with caplog.at_level(logging.INFO):
        started = time.monotonic()
        uploader = Uploader(MlflowTracker(root), RUN)
        for label in ("a", "b", "c"):
            uploader.add(made(label))
        uploader.finish()
        assert time.monotonic() - started < 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert "127.0.0.1:9" in line
    assert "run the same command again" in line
    assert "secret" not in line
    assert capfd.readouterr() == ("", "")


def test_what_could_not_be_uploaded_is_uploaded_by_the_next_run(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_SERVER)
    first = Uploader(MlflowTracker(root), RUN)
    first.add(made())
    first.finish()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    second = Uploader(MlflowTracker(root), RUN)
    second.add(made())
    assert titles(root) == {"a"}


def test_a_damaged_database_says_what_helps(root, caplog):
    """To run again does not: the file must go."""
    path = root / DATABASE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(len(content) // 2))
    uploader = Uploader(MlflowTracker(root), RUN)
    uploader.add(made())
    uploader.finish()
    (line,) = [record.getMessage() for record in caplog.records if record.name != "alembic"]
    assert f"{path} is damaged" in line and "delete it and run the same command again" in line
    assert "MLFLOW_TRACKING_URI" not in line


def test_a_root_that_cannot_be_written_stops_nobody(tmp_path, caplog):
    Uploader(MlflowTracker(tmp_path / "gone"), RUN).add(made())
    assert "FileNotFoundError" in caplog.text


class Shaky(MemoryTracker):
    """Fails so many times, then works."""

    def __init__(self, failures):
        super().__init__()
        self.failures, self.num_tries = failures, 0

    def upload(self, experiment, runs):
        self.num_tries += 1
        if self.num_tries <= self.failures:
            raise ConnectionError("nobody there")
        super().upload(experiment, runs)


def test_after_a_failure_nothing_is_tried_until_the_end(caplog):
    tracker = Shaky(failures=1)
    uploader = Uploader(tracker, RUN)
    for label in ("a", "b"):
        uploader.add(made(label))
    assert tracker.num_tries == 1
    uploader.finish()
    assert tracker.num_tries == 2
    assert len(tracker.runs) == 2
    assert len(caplog.records) == 1
    uploader.finish()
    assert tracker.num_tries == 2, "nothing waits any more"
