"""What stages report and record reaches a tracker, and no tracker can stop or delay them."""

import json
import logging
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlingua.stages import tracked
from interlingua.stages.backend import LocalBackend, name_of
from interlingua.stages.tracked import UPLOADED_NAME, OnceTracker, TrackingWatcher
from interlingua.store.artifact import Stage, build, find, folder
from interlingua.store.lock import PARTIAL_SUFFIX
from interlingua.store.progress import PROGRESS_NAME, MetricsLog
from interlingua.tracking.database import DATABASE_NAME, prepared_mlflow
from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import SKIPPED, MemoryTracker, Uploader

SOURCE = Path(__file__).parents[2] / "platform"
CHECKPOINT = 20

HANGS = """
import sys, threading
from dataclasses import dataclass
from pathlib import Path
from interlingua.stages import tracked
from interlingua.store.artifact import Stage
from interlingua.tracking.runs import Uploader

class Hanging:
    def upload(self, experiment, runs):
        threading.Event().wait()

class Silent:
    def on_tick(self, running):
        pass

@dataclass(frozen=True)
class Spec:
    seed: int

def run(spec, inputs, out, context):
    return {}

stage = Stage(kind="counted", label="one", spec=Spec(0), run=run, inputs={}, revision=0)
tracked.PATIENCE_SECONDS = 0.1
with tracked.TrackingWatcher(Silent(), Uploader(Hanging(), "e"), Path(sys.argv[1])) as watcher:
    watcher.on_tick([stage])
print("ended")
"""


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@dataclass(frozen=True, kw_only=True)
class CountSpec:
    """Counts to `num_steps` in tens."""

    seed: int
    num_steps: int
    host_tag: str = "gpt2-medium"


def count(spec, inputs, out, context):
    """Reports every ten steps; the context may say at which step to break off."""
    first = CHECKPOINT if (out / PROGRESS_NAME).exists() else 0
    log = MetricsLog(out, resume_step=first)
    for step in range(first + 10, spec.num_steps + 1, 10):
        if step == context:
            raise Interrupted
        log.append(step, loss=1 / step, num_steps=spec.num_steps)
    return {"last": spec.num_steps}


def judge(spec, inputs, out, context):
    """An evaluation that did not pass two of its gates."""
    return {"fve_centred": 0.5, "failed_gates": ["collapse", "leakage"]}


def stage(label="one", run=count, num_steps=40):
    spec = CountSpec(seed=7, num_steps=num_steps)
    return Stage(kind="counted", label=label, spec=spec, run=run, inputs={}, revision=0)


class Silent:
    """Shows nothing, and remembers what it was told."""

    def __init__(self):
        self.done = []

    def on_done(self, stage, artifact):
        self.done.append(name_of(stage))

    def on_tick(self, running):
        pass


class Counting(MemoryTracker):
    """Counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.num_uploads = 0

    def upload(self, experiment, runs):
        self.num_uploads += 1
        super().upload(experiment, runs)


class Refusing:
    """Raises whatever it is asked."""

    def upload(self, experiment, runs):
        raise ConnectionError("nobody there")


class Hanging:
    """Answers when the test is over."""

    def __init__(self):
        self.is_over = threading.Event()

    def upload(self, experiment, runs):
        self.is_over.wait()


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def root(tmp_path):
    """A run root whose database is there, as far as its name goes."""
    (tmp_path / DATABASE_NAME).touch()
    return tmp_path


@pytest.fixture
def run_all(root):
    """Build stages as a job does."""

    def run(tracker, *stages, break_at=None):
        shown = Silent()
        with TrackingWatcher(shown, Uploader(tracker, "counts"), root) as watcher:
            LocalBackend().build_all(stages, root, break_at, watcher)
        return shown.done

    return run


def held(tracker, label="one"):
    """The run of the stage of that label; there is one."""
    (run,) = (run for run in tracker.runs.values() if run.tags["label"] == label)
    return run


def reported(run):
    return [(v.step, v.value) for v in run.values if v.name == "counted/loss"]


def wait_until(is_true):
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
    wanted = {"fingerprint": record.fingerprint, "seed": "7", "host": "gpt2-medium"}
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
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
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
        build(waited_for, root, None)
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
        "-c", HANGS, tmp_path, env={"PYTHONPATH": str(SOURCE)}, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "ended\n")
    assert "not all results are tracked" in err


def test_unreadable_reports_of_one_stage_are_told(run_all, root, caplog):
    build(stage(), root, None)
    (find(stage(), root).path / PROGRESS_NAME).write_text("no JSON\n")
    tracker = MemoryTracker()
    run_all(tracker, stage(), stage("two"))
    assert [run.tags["label"] for run in tracker.runs.values()] == ["two"]
    assert [record.getMessage()[:24] for record in caplog.records] == ["a stage is not tracked: "]


def test_what_was_uploaded_is_not_asked_for_again(run_all, root):
    tracker = Counting()
    run_all(OnceTracker(tracker, root), stage(), stage("two"))
    assert tracker.num_uploads == 2
    run_all(OnceTracker(tracker, root), stage(), stage("two"))
    assert tracker.num_uploads == 2
    run_all(OnceTracker(tracker, root), stage(), stage("two"), stage("three"))
    assert tracker.num_uploads == 3


def test_what_was_not_uploaded_is_not_taken_for_uploaded(run_all, root, monkeypatch):
    run_all(OnceTracker(Refusing(), root), stage())
    assert not (root / UPLOADED_NAME).exists()
    tracker = Counting()
    with pytest.raises(Interrupted):
        run_all(OnceTracker(tracker, root), stage(), stage("two"), break_at=40)
    run_all(OnceTracker(tracker, root), stage(), stage("two"))
    assert held(tracker, "two").status == "FINISHED"


def built_again(root, monkeypatch):
    """The same stage, recorded at another time."""
    path = find(stage(), root).path / "artifact.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"finished": "2130-01-01T00:00:00+00:00"}))


def elsewhere(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")


def database_lost(root, monkeypatch):
    (root / DATABASE_NAME).unlink()


def note_lost(root, monkeypatch):
    (root / UPLOADED_NAME).unlink()


@pytest.mark.parametrize("change", [built_again, elsewhere, database_lost, note_lost])
def test_it_is_uploaded_again_where_that_may_be_needed(change, run_all, root, monkeypatch):
    tracker = Counting()
    run_all(OnceTracker(tracker, root), stage())
    change(root, monkeypatch)
    run_all(OnceTracker(tracker, root), stage())
    assert tracker.num_uploads == 2
    assert "secret" not in (root / UPLOADED_NAME).read_text()


def test_an_unreadable_note_is_named_with_its_remedy(run_all, root, caplog):
    (root / UPLOADED_NAME).write_text('{"tracker": ')
    assert run_all(OnceTracker(MemoryTracker(), root), stage()) == ["counted/one"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{root / UPLOADED_NAME} is unreadable" in line and "delete it" in line
