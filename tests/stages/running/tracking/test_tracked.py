"""What stages report and record reaches a tracker, and no tracker can stop or delay them."""

import logging
import subprocess
import time
from pathlib import Path

import pytest
from tests.stages.running.tracking.counted import (
    Breaking,
    Hanging,
    Interrupted,
    Refusing,
    Silent,
    held,
    judge,
    reported,
    stage,
    wait_until,
)

from interlingua.stages.running import tracked
from interlingua.stages.running.tracked import OnceTracker, TrackingWatcher
from interlingua.store.artifact import build, find, folder
from interlingua.store.partial import latest_folder
from interlingua.store.progress import PROGRESS_NAME, MetricsLog
from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import SKIPPED, MemoryTracker, Uploader

SOURCE = Path(__file__).parents[4] / "platform"
PROGRAM = Path(__file__).parent / "programs" / "hanging_tracker.py"


def test_every_stage_is_a_run_of_the_recipe(run_all, root):
    tracker = MemoryTracker()
    assert run_all(tracker, stage(), stage("two")) == ["counted/one", "counted/two"]
    assert {experiment for experiment, _ in tracker.runs} == {"counts"}
    record = find(stage(), root).record
    run = held(tracker)
    assert run.status == "FINISHED"
    assert run.params["num_steps"] == "40"
    assert reported(run) == [(step, 1 / step) for step in (10, 20, 30, 40)]
    results = {v.name: v.value for v in run.values if "/result/" in v.name}
    costs = {"seconds": record.seconds, "peak_bytes": record.peak_bytes}
    assert results == {f"counted/result/{n}": v for n, v in {"last": 40.0, **costs}.items()}
    wanted = {"fingerprint": record.fingerprint, "seed": "7", "host": "toy-gpt2-medium"}
    wanted |= {"hostname": record.provenance.hostname}
    if record.provenance.git_commit is not None:
        wanted["mlflow.source.git.commit"] = wanted["git_commit"] = record.provenance.git_commit
    assert wanted.items() <= run.tags.items()


def test_failed_gates_fail_the_run(run_all):
    tracker = MemoryTracker()
    run_all(tracker, stage(run=judge))
    run = held(tracker)
    assert run.status == "FAILED"
    assert run.tags["failed_gates"] == "collapse, leakage"
    assert SKIPPED not in run.tags


def test_a_running_stage_can_be_followed(root, monkeypatch):
    monkeypatch.setattr(tracked, "UPLOAD_EVERY_SECONDS", 0)
    tracker, running = MemoryTracker(), stage()
    target = folder(running, root)
    partial = latest_folder(target)
    partial.mkdir(parents=True)
    log = MetricsLog(partial, resume_step=0)
    with TrackingWatcher(Silent(), Uploader(tracker, "counts"), root) as watcher:
        for step in (10, 20):
            log.append(step, loss=1 / step)
            watcher.on_tick([running])
            wait_until(lambda now=step: tracker.runs and reported(held(tracker))[-1][0] == now)
            assert held(tracker).status == "RUNNING"
    assert held(tracker).status == "KILLED"


def test_a_stage_that_goes_on_goes_on_in_its_run(run_all):
    tracker = MemoryTracker()
    with pytest.raises(Interrupted):
        run_all(tracker, stage(), break_at=40)
    assert held(tracker).status == "KILLED"
    assert [step for step, _ in reported(held(tracker))] == [10, 20, 30]
    run_all(tracker, stage())
    assert held(tracker).status == "FINISHED"
    assert [step for step, _ in reported(held(tracker))] == [10, 20, 30, 40]


@pytest.mark.slow
def test_a_stage_that_goes_on_goes_on_in_its_mlflow_run(run_all, root):
    from mlflow import MlflowClient

    (root / DATABASE_NAME).unlink()
    prepared_mlflow(root)
    client = MlflowClient(f"sqlite:///{root / DATABASE_NAME}")
    seen = []
    for break_at in (40, None):
        try:
            run_all(OnceTracker(MlflowTracker(root), root), stage(), break_at=break_at)
        except Interrupted:
            assert break_at == 40
        experiment = client.get_experiment_by_name("counts")
        (run,) = client.search_runs([experiment.experiment_id])
        history = client.get_metric_history(run.info.run_id, "counted/loss")
        seen.append((run.info.run_id, run.info.status, [point.step for point in history]))
    assert [entry[1:] for entry in seen] == [
        ("KILLED", [10, 20, 30]),
        ("FINISHED", [10, 20, 30, 40]),
    ]
    assert seen[0][0] == seen[1][0]


def test_what_another_driver_finished_is_not_called_killed(root):
    tracker, waited_for = MemoryTracker(), stage()
    with TrackingWatcher(Silent(), Uploader(tracker, "counts"), root) as watcher:
        watcher.on_tick([waited_for])
        build(waited_for, root, Breaking())
    assert held(tracker).status == "FINISHED"


def test_a_tracker_that_raises_stops_nobody_and_gets_it_later(run_all, caplog):
    with caplog.at_level(logging.INFO):
        assert run_all(Refusing(), stage(), stage("two")) == ["counted/one", "counted/two"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "ConnectionError" in line and "run the same command again" in line
    tracker = MemoryTracker()
    run_all(tracker, stage(), stage("two"))
    assert {run.status for run in tracker.runs.values()} == {"FINISHED"}
    assert len(tracker.runs) == 2


def test_a_tracker_that_hangs_delays_nobody_for_long(run_all, monkeypatch, caplog):
    monkeypatch.setattr(tracked, "PATIENCE_SECONDS", 0.1)
    tracker = Hanging()
    started = time.monotonic()
    try:
        assert run_all(tracker, stage(), stage("two")) == ["counted/one", "counted/two"]
        assert time.monotonic() - started < 30
    finally:
        tracker.is_over.set()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "run the same command again" in line


def test_python_ends_although_a_tracker_hangs(start_python, tmp_path):
    process = start_python(
        PROGRAM, tmp_path, env={"PYTHONPATH": str(SOURCE)}, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "ended\n")
    assert "not all results are tracked" in err


def test_unreadable_reports_of_one_stage_are_told(run_all, root, caplog):
    build(stage(), root, Breaking())
    (find(stage(), root).path / PROGRESS_NAME).write_text("no JSON\n")
    tracker = MemoryTracker()
    run_all(tracker, stage(), stage("two"))
    assert [run.tags["label"] for run in tracker.runs.values()] == ["two"]
    assert [record.getMessage()[:24] for record in caplog.records] == ["a stage is not tracked: "]
