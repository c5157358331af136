"""What cannot be uploaded waits, and stops nobody."""

import logging
import time

import pytest

from interlingua.tracking.database import DATABASE_NAME
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import MemoryTracker, Uploader

DEAD_SERVER = "http://user:secret@127.0.0.1:9"


def test_a_server_that_is_down_costs_one_line_and_little_time(
    stage_run, root, monkeypatch, caplog, capfd
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_SERVER)
    with caplog.at_level(logging.INFO):
        started = time.monotonic()
        uploader = Uploader(MlflowTracker(root), "world")
        for label in ("a", "b", "c"):
            uploader.add(stage_run(label=label))
        uploader.finish()
        assert time.monotonic() - started < 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert "127.0.0.1:9" in line
    assert "run the same command again" in line
    assert "secret" not in line
    assert capfd.readouterr() == ("", "")


def test_what_could_not_be_uploaded_is_uploaded_by_the_next_run(
    stored, stage_run, root, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_SERVER)
    first = Uploader(MlflowTracker(root), "world")
    first.add(stage_run())
    first.finish()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    second = Uploader(MlflowTracker(root), "world")
    second.add(stage_run())
    assert set(stored.held()) == {stage_run().name}


def test_a_damaged_database_says_what_helps(stage_run, root, caplog):
    """To run again does not: the file must go."""
    path = root / DATABASE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(len(content) // 2))
    uploader = Uploader(MlflowTracker(root), "world")
    uploader.add(stage_run())
    uploader.finish()
    (line,) = [record.getMessage() for record in caplog.records if record.name != "alembic"]
    assert f"{path} is damaged" in line and "delete it and run the same command again" in line
    assert "MLFLOW_TRACKING_URI" not in line


def test_a_root_that_cannot_be_written_stops_nobody(stage_run, tmp_path, caplog):
    Uploader(MlflowTracker(tmp_path / "gone"), "world").add(stage_run())
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


def test_after_a_failure_nothing_is_tried_until_the_end(stage_run, caplog):
    tracker = Shaky(failures=1)
    uploader = Uploader(tracker, "world")
    for label in ("a", "b"):
        uploader.add(stage_run(label=label))
    assert tracker.num_tries == 1
    uploader.finish()
    assert tracker.num_tries == 2
    assert len(tracker.runs) == 2
    assert len(caplog.records) == 1
    uploader.finish()
    assert tracker.num_tries == 2, "nothing waits any more"


def test_long_values_that_differ_at_their_end_stay_different(stage_run):
    tracker = MemoryTracker()
    for label, end in (("one", "a"), ("two", "b")):
        run = stage_run(label=label, spec={"template": "x" * 9000 + end})
        tracker.upload("world", [run])
    one, two = (run.params["template"] for run in tracker.runs.values())
    assert one != two


def test_a_name_of_a_parent_that_could_mean_another_is_refused(stage_run):
    with pytest.raises(ValueError, match="StageRun.parents has 'a/b'"):
        stage_run(parents=("a/b",))
