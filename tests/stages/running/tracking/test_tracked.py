"""What stages report and record reaches a tracker, and no tracker can stop or delay them."""

import json
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
    interrupted,
    is_held,
    judge,
    recipe_run_of,
    reported,
    stage,
    the_recipe,
    wait_until,
)

from interlingua.cluster.local import LocalBackend
from interlingua.stages.running import machine, tracked
from interlingua.stages.running.tracked import TrackingWatcher
from interlingua.stages.running.uploader import OnceTracker, Uploader
from interlingua.store.artifact import build, find, folder
from interlingua.store.partial import latest_folder
from interlingua.store.progress import PROGRESS_NAME, MetricsLog, read_timed_metrics
from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.tracker import MemoryTracker

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
    results = {v.name: v.value for v in run.values if v.name.startswith("result/")}
    costs = {"seconds": record.seconds, "peak_bytes": record.peak_bytes}
    assert results == {f"result/{n}": v for n, v in {"last": 40.0, **costs}.items()}
    wanted = {"fingerprint": record.fingerprint, "seed": "7", "host": "toy-gpt2-medium"}
    wanted |= {"hostname": record.provenance.hostname}
    if record.provenance.git_commit is not None:
        wanted["mlflow.source.git.commit"] = wanted["git_commit"] = record.provenance.git_commit
    assert wanted.items() <= run.tags.items()
    recipe = the_recipe(tracker)
    assert recipe.status == "FINISHED" and recipe.params["recipe"] == "counts"
    key = recipe_run_of(stage(), stage("two")).identity.name
    assert {name: run.parent for (_, name), run in tracker.runs.items()} == {
        key: None,
        f"{key}/{stage().key}": key,
        f"{key}/{stage('two').key}": key,
    }


def test_the_same_stages_again_are_the_same_run_and_others_are_another(run_all):
    tracker = MemoryTracker()
    run_all(tracker, stage(), stage("two"))
    run_all(tracker, stage("two"), stage())
    assert len(tracker.runs) == 3
    run_all(tracker, stage(), stage("two", num_steps=20))
    assert len(tracker.runs) == 6


def test_a_part_that_is_run_again_takes_nothing_from_the_whole(root):
    """As `--until` does: the run is that of the recipe, however much of it was asked for."""
    tracker, (one, two) = MemoryTracker(), (stage(), stage("two"))
    for asked in ((one, two), (one,)):
        uploader = Uploader(tracker, recipe_run_of(one, two))
        with TrackingWatcher(Silent(), uploader, root) as watcher:
            LocalBackend().build_all(asked, root, Breaking(), watcher)
        lineage = json.loads(the_recipe(tracker).files["lineage.json"])
        assert all(entry["finished"] for entry in lineage) and len(lineage) == 2


def test_a_curve_has_the_times_at_which_it_was_measured(run_all, root):
    tracker = MemoryTracker()
    run_all(tracker, stage())
    lines = read_timed_metrics(find(stage(), root).path)
    times = [v.time for v in held(tracker).values if v.name == "progress/loss"]
    assert times == [line["time"] for line in lines] and len(times) == 4


@pytest.mark.parametrize(("run", "status"), [(judge, "FAILED"), (interrupted, "KILLED")])
def test_the_run_of_the_recipe_ends_as_the_job_did(run, status, run_all):
    tracker = MemoryTracker()
    try:
        run_all(tracker, stage(run=run))
    except KeyboardInterrupt:
        assert run is interrupted
    assert the_recipe(tracker).status == status


def test_a_recipe_whose_stage_failed_has_failed_and_goes_on_in_its_run(run_all):
    tracker = MemoryTracker()
    with pytest.raises(Interrupted):
        run_all(tracker, stage(), break_at=40)
    assert the_recipe(tracker).status == "FAILED"
    run_all(tracker, stage())
    assert the_recipe(tracker).status == "FINISHED"


def test_a_job_that_failed_before_it_began_is_no_run(root):
    tracker = MemoryTracker()
    with (
        pytest.raises(Interrupted),
        TrackingWatcher(Silent(), Uploader(tracker, recipe_run_of(stage())), root),
    ):
        raise Interrupted
    assert tracker.runs == {}


def test_the_machine_is_measured_while_something_is_built(root, monkeypatch):
    monkeypatch.setattr(machine, "SAMPLE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(tracked, "UPLOAD_EVERY_SECONDS", 0.0)
    tracker, running = MemoryTracker(), stage()

    def samples():
        runs = [run for run in list(tracker.runs.values()) if run.parent is None]
        return [v for run in runs for v in run.values if v.name.startswith("system/")]

    with TrackingWatcher(Silent(), Uploader(tracker, recipe_run_of(running)), root) as watcher:
        wait_until(lambda: watcher.on_tick([running]) or samples())
    assert {v.name for v in samples()} == {"system/cpu_utilization_percentage"}
    assert all(abs(v.time - time.time()) < 60 for v in samples())


def test_a_machine_that_cannot_be_measured_is_told_once(caplog):
    def broken():
        raise OSError("no /proc")

    log = machine.MachineLog(broken, time.time())
    for _ in range(3):
        log.sample()
    [line] = [record.getMessage() for record in caplog.records]
    assert "no /proc" in line and log.reports == []


def test_failed_gates_fail_the_run(run_all):
    tracker = MemoryTracker()
    run_all(tracker, stage(run=judge))
    run = held(tracker)
    assert run.status == "FAILED"
    assert run.tags["failed_gates"] == "collapse, leakage"


def test_a_running_stage_can_be_followed(root, monkeypatch):
    monkeypatch.setattr(tracked, "UPLOAD_EVERY_SECONDS", 0)
    tracker, running = MemoryTracker(), stage()
    target = folder(running, root)
    partial = latest_folder(target)
    partial.mkdir(parents=True)
    log = MetricsLog(partial, resume_step=0)
    with TrackingWatcher(Silent(), Uploader(tracker, recipe_run_of(running)), root) as watcher:
        for step in (10, 20):
            log.append(step, loss=1 / step)
            watcher.on_tick([running])
            wait_until(lambda now=step: is_held(tracker, now))
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
        runs = client.search_runs([experiment.experiment_id])
        assert len(runs) == 2
        (run,) = (run for run in runs if run.info.run_name == "counted/one")
        history = client.get_metric_history(run.info.run_id, "progress/loss")
        seen.append((run.info.run_id, run.info.status, [point.step for point in history]))
    assert [entry[1:] for entry in seen] == [
        ("KILLED", [10, 20, 30]),
        ("FINISHED", [10, 20, 30, 40]),
    ]
    assert seen[0][0] == seen[1][0]


def test_what_another_driver_finished_is_not_called_killed(root):
    tracker, waited_for = MemoryTracker(), stage()
    with TrackingWatcher(Silent(), Uploader(tracker, recipe_run_of(waited_for)), root) as watcher:
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
    assert len(tracker.runs) == 3


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
    assert {run.tags.get("label") for run in tracker.runs.values()} == {None, "two"}
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("a run is not tracked: JSONDecodeError: ")
