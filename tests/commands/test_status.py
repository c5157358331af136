"""`interlingua status`: what stands in a root, while runs go on and after they ended."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.commands.watching.root_state import FAILED, LEFT, RUNNING, WAITING, root_state
from interlingua.commands.watching.status import main, status_lines, status_parser
from interlingua.specs.evaluation import ReportSpec
from interlingua.stages.running.context import StagesFailed
from interlingua.stages.running.noted import noted_run
from interlingua.store.artifact import Stage, build, folder
from interlingua.store.lock import exclusive
from interlingua.store.partial import claimed, last_failure, latest_folder
from interlingua.store.process import this_process
from interlingua.store.progress import MetricsLog
from interlingua.store.run_notes import FOLDER, read_notes

REPOSITORY = Path(__file__).parents[2]


def nothing(spec, inputs, out, context):
    """A stage that is done at once."""
    return {}


def breaks(spec, inputs, out, context):
    """A stage that fails."""
    raise ValueError("the teacher\n is not there")


def stage(label, run=nothing, inputs=None):
    spec = ReportSpec(recipe=label, shown_rows=1)
    return Stage(kind="av", label=label, spec=spec, run=run, inputs=inputs, revision=1)


def lines(root):
    return "\n".join(status_lines(root_state(root)))


@pytest.fixture
def dead(tmp_path):
    """The identity of a process that is gone, on this machine."""
    code = (
        "import json; from dataclasses import asdict; from interlingua.store.process import "
        "this_process; print(json.dumps(asdict(this_process())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return replace(this_process(), **json.loads(done.stdout))


def test_a_stage_that_fails_leaves_its_error_until_it_is_tried_again(tmp_path):
    failing = stage("a", breaks)
    with pytest.raises(ValueError):
        build(failing, tmp_path, None)
    partial = latest_folder(folder(failing, tmp_path))
    assert last_failure(partial).error == "ValueError: the teacher is not there"
    assert "failed   av/a at" in lines(tmp_path)
    assert "ValueError: the teacher is not there" in lines(tmp_path)
    with exclusive(folder(failing, tmp_path)) as lock:
        assert last_failure(claimed(lock)) is None


def test_a_run_that_goes_on_says_how_far_it_is_and_when_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interlingua", "run", "some"])
    done, going, waiting = stage("a"), stage("b"), stage("c")
    build(done, tmp_path, None)
    stages = [done, going, waiting]
    with (
        noted_run("some-0", "some", stages, tmp_path, cluster="head:6379"),
        exclusive(folder(going, tmp_path)) as lock,
    ):
        out = claimed(lock)
        log = MetricsLog(out, resume_step=0)
        log.append(10, num_steps=40, loss=0.9)
        log.append(30, num_steps=40, loss=0.5)
        shown = lines(tmp_path)
    assert "some: running since" in shown and "$ interlingua run some" in shown
    assert "the Ray at head:6379" in shown
    assert "1 of 3 stages done, 1 running, 1 waiting; time left: about 0 s" in shown
    assert "running  av/b 30/40, since" in shown and f"pid {os.getpid()} on" in shown
    assert "loss 0.5" in shown
    assert "some: done at" in lines(tmp_path)


def test_without_a_like_stage_no_time_is_guessed(tmp_path):
    with noted_run("some-0", "some", [stage("a")], tmp_path, cluster=None):
        assert "time left: unknown (never run here: av)" in lines(tmp_path)


def test_errors_without_a_folder_are_in_the_note(tmp_path):
    error = StagesFailed({"av/a": RuntimeError("its worker died 4 times")}, ["av/b"])
    with (
        pytest.raises(StagesFailed),
        noted_run("some-0", "some", [stage("a")], tmp_path, cluster=None),
    ):
        raise error
    assert "failed   av/a: RuntimeError: its worker died 4 times" in lines(tmp_path)


def test_an_interruption_is_no_failure(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        noted_run("some-0", "some", [stage("a")], tmp_path, cluster=None),
    ):
        raise KeyboardInterrupt
    assert "some: stopped at" in lines(tmp_path) and "failed" not in lines(tmp_path)


def test_what_a_dead_process_left_is_told_from_what_a_live_one_does(tmp_path, dead, monkeypatch):
    monkeypatch.setattr("interlingua.stages.running.noted.this_process", lambda: dead)
    monkeypatch.setattr("interlingua.store.lock.this_process", lambda: dead)
    left = stage("b")
    with noted_run("some-0", "some", [left], tmp_path, cluster=None):
        (note,) = (tmp_path / FOLDER).glob("*.json")
        text = note.read_text()
    note.write_text(text)  # as it stood when the process was killed
    folder(left, tmp_path).parent.mkdir()
    with exclusive(folder(left, tmp_path)) as lock:
        claimed(lock)
        (run,) = root_state(tmp_path).runs
        assert (run.note.state, [one.state for one in run.stages]) == ("stopped", [LEFT])
        shown = lines(tmp_path)
    assert "1 left unfinished" in shown and "its process is gone" in shown
    assert "nothing is running" in shown


def test_a_new_try_waits_where_an_earlier_one_failed(tmp_path):
    failing = stage("a", breaks)
    with pytest.raises(ValueError):
        build(failing, tmp_path, None)
    time.sleep(0.01)  # the clock has moved on
    with noted_run("some-0", "some", [failing], tmp_path, cluster=None):
        (run,) = root_state(tmp_path).runs
    assert [one.state for one in run.stages] == [WAITING]
    (run,) = root_state(tmp_path).runs
    assert [one.state for one in run.stages] == [FAILED]


def test_stages_of_no_note_are_shown_with_the_command_that_made_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/jobs/run.py", "world"])
    build(stage("a"), tmp_path, None)
    assert "1 stages done" in lines(tmp_path)
    assert "$ python -m jobs.run world" in lines(tmp_path)
    with exclusive(folder(stage("b"), tmp_path)):
        (other,) = root_state(tmp_path).others
    assert other.state == RUNNING


def test_an_empty_root_and_none_at_all(tmp_path):
    assert "nothing was built here yet" in lines(tmp_path)
    with pytest.raises(ValueError, match="is not there; name a run root with --root"):
        main(status_parser().parse_args(["--root", str(tmp_path / "no")]))


def test_a_cluster_at_hand_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "the Ray at 127.0.0.1:1 does not answer" in lines(tmp_path)


def test_it_loads_nothing_heavy(tmp_path):
    build(stage("a"), tmp_path, None)
    program = (
        "import sys; from interlingua.commands.entry import main; "
        f"main(['status', '--root', {str(tmp_path)!r}]); "
        "print(sorted({'torch', 'numpy', 'ray', 'mlflow', 'rich'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(REPOSITORY / "platform")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")


def test_a_note_outlives_its_process(tmp_path):
    with noted_run("some-0", "some", [stage("a")], tmp_path, cluster=None):
        pass
    (note,) = read_notes(tmp_path)
    assert (note.title, note.state, list(note.stages)) == ("some", "done", [stage("a").key])
