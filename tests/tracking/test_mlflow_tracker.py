"""A run is one MLflow run, however often and in however many pieces it is uploaded."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from interlingua.tracking.mlflow_tracker import MlflowTracker
from interlingua.tracking.runs import NOT_FINITE, RUN, UPLOADED, File, Report, Uploaded
from interlingua.tracking.tracker import MemoryTracker

SOURCE = Path(__file__).parents[2] / "platform"
SILENCED = """
from pathlib import Path
from interlingua.tracking.mlflow_tracker import MlflowTracker

silent = "MlflowTracker(Path('.')).be_silent()"
log = "from mlflow.store.db.utils import _logger; _logger.warning('Operation will be retried')"
for line in {order}:
    exec(line)
"""
OURS = {RUN, UPLOADED}


def test_a_run_is_held_with_what_it_is_and_what_it_measured(stored, make_run):
    stored.upload(make_run())
    run = stored.held()[make_run().name]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "encoder/gpt2"
    assert run.info.end_time - run.info.start_time == 60_000
    tags = {name: value for name, value in run.data.tags.items() if "mlflow." not in name}
    assert {name: value for name, value in tags.items() if name not in OURS} == {
        "git_commit": "c0ffee",
        "git_is_dirty": "true",
    }
    assert tags.keys() >= OURS
    assert run.data.params["ridge"] == "0.1"
    assert run.data.metrics == {
        "train/loss": 0.05,
        "train/rate": 0.25,
        "result/num_rows": 7.0,
        "result/nll": 0.5,
        "result/is_deficient": 1.0,
    }
    assert stored.history(run, "train/loss") == [(10, 0.1), (20, 0.05)]
    started = make_run().started
    assert stored.times(run, "train/loss") == [started + 10, started + 20]


def test_a_second_upload_adds_nothing(stored, make_run):
    stored.upload(make_run())
    before = stored.rows()
    stored.upload(make_run())
    assert stored.rows() == before


def test_no_run_ends_before_it_began(stored, make_run):
    stored.upload(make_run(ended=make_run().started - 5))
    run = stored.held()[make_run().name]
    assert run.info.end_time == run.info.start_time


def test_artifacts_go_to_the_run_root_and_nothing_to_where_the_job_started(
    stored, make_run, root, tmp_path
):
    stored.upload(make_run())
    run = stored.held()[make_run().name]
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_run_that_goes_on_goes_on_in_its_run(stored, reports, make_run, running):
    stored.upload(running(10, 20))
    assert stored.held()[make_run().name].info.status == "RUNNING"
    stored.upload(running(10, 20, status="KILLED"))
    assert stored.held()[make_run().name].info.status == "KILLED"
    # Resumed at 10: step 20 was reported a second time.
    stored.upload(running(10, 20, 30))
    assert stored.held()[make_run().name].info.status == "RUNNING"
    stored.upload(make_run(series={"train": reports(10, 20, 30, 40)}))
    run = stored.held()[make_run().name]
    assert run.info.status == "FINISHED"
    assert stored.history(run, "train/loss") == [(step, 1 / step) for step in (10, 20, 30, 40)]


def test_every_curve_goes_on_by_itself(stored, reports, make_run, running):
    """An evaluation is of an earlier step than the last that was reported."""
    train, name = reports(10, 20), make_run().name
    stored.upload(running(series={"train": train, "dev": []}))
    stored.upload(running(series={"train": train, "dev": reports(1, 15)}))
    run = stored.held()[name]
    assert [step for step, _ in stored.history(run, "dev/loss")] == [1, 15]
    assert len(stored.history(run, "train/loss")) == 2


def test_what_is_made_again_shows_its_newest_numbers(stored, make_run):
    newer = {"measured": make_run().measured + 9, "results": {"result": {"num_rows": 8}}}
    stored.upload(make_run())
    stored.upload(make_run(**newer))
    stored.upload(make_run())
    run = stored.held()[make_run().name]
    assert run.data.metrics["result/num_rows"] == 8.0
    assert Uploaded.of(run.data.tags).measured == newer["measured"]


def test_an_upload_that_was_cut_off_is_completed_without_doubles(stored, reports, make_run):
    stored.upload(make_run())
    before = stored.rows()["metrics"]
    run = stored.held()[make_run().name]
    stored.client().delete_tag(run.info.run_id, UPLOADED)
    stored.upload(make_run(series={"train": reports(10, 20, 30)}))
    assert set(before) < set(stored.rows()["metrics"])
    assert len(stored.history(run, "train/loss")) == 3


def test_a_run_that_somebody_deleted_stays_deleted(stored, reports, make_run):
    stored.upload(make_run())
    stored.client().delete_run(stored.held()[make_run().name].info.run_id)
    stored.upload(make_run(series={"train": reports(10, 20, 30)}))
    assert stored.held() == {}


def test_what_is_nested_in_a_deleted_run_does_not_come_back(stored, make_run, parent):
    child = make_run(parents=(parent("demo-1"),))
    stored.upload(child)
    for run in stored.held().values():
        stored.client().delete_run(run.info.run_id)
    stored.upload(child, make_run(name="encoder/another", parents=(parent("demo-1"),)))
    assert stored.held() == {}


def test_numbers_that_are_not_finite_are_left_out_and_counted(stored, make_run):
    def at(step, **values):
        return Report(step=step, time=1e9 + step, values=values)

    odd = [at(1, loss=float("nan"), rate=0.5), at(2, loss=float("inf"), note="x"), at(3, loss=2.0)]
    results = {"fve": float("-inf"), "words": ["a"], "nested": {"num": 1, "none": None}}
    stored.upload(make_run(series={"train": odd}, results=results))
    run = stored.held()[make_run().name]
    assert run.data.metrics == {"train/loss": 2.0, "train/rate": 0.5, "nested/num": 1.0}
    assert run.data.tags[NOT_FINITE] == "fve: 1, train/loss: 2"


def test_many_params_and_many_values_go_in_batches(stored, make_run):
    hosts = [{"__type__": "Host", "tag": f"h{number}", "width": 4} for number in range(80)]
    params = {"__type__": "Big", "hosts": hosts, "a+b": 1, "a_b": 2}
    values = {f"m{n}": n + 0.5 for n in range(9)}
    many = [Report(step=step, time=1e9 + step, values=values) for step in range(1, 301)]
    stored.upload(make_run(params=params, series={"train": many}))
    run = stored.held()[make_run().name]
    assert len(run.data.params) == 1 + 3 * 80 + 2
    assert run.data.params["hosts.79.tag"] == "h79"
    assert len(stored.history(run, "train/m8")) == 300


def test_runs_are_nested_and_what_two_cells_share_moves_up_to_the_sweep(stored, make_run, parent):
    sweep, one, two = (parent(name) for name in ("slots", "slots/one", "slots/two"))
    shared = make_run(name="slots/shared", parents=(sweep, one))
    stored.upload(shared, make_run(name="slots/own", parents=(sweep, two)))

    def above():
        runs = stored.held()
        names = {run.info.run_id: name for name, run in runs.items()}
        return {n: names.get(run.data.tags.get("mlflow.parentRunId")) for n, run in runs.items()}

    assert above() == {
        "slots": None, "slots/one": "slots", "slots/two": "slots",
        "slots/shared": "slots/one", "slots/own": "slots/two",
    }  # fmt: skip
    stored.upload(replace(shared, parents=(sweep, two)))
    assert above()["slots/shared"] == "slots"
    stored.upload(shared)
    assert above()["slots/shared"] == "slots"


@pytest.fixture
def files():
    """A table and a text, and how often each was made."""
    made = []
    table = b'{"columns": ["row", "fve"], "data": [["a", 0.5], ["b", null]]}'

    def content(name, text):
        return lambda: made.append(name) or text

    return made, (
        File(path="texts.json", digest="1", content=content("texts", table), is_table=True),
        File(path="bundle/demo/note.txt", digest="1", content=content("note", b"hello")),
    )


def test_files_go_up_once_and_again_when_they_are_others(stored, make_run, files):
    made, (table, note) = files
    stored.upload(make_run(files=(table, note)))
    stored.upload(make_run(files=(table, note)))
    assert made == ["texts", "note"]
    run_id = stored.held()[make_run().name].info.run_id
    path = stored.client().download_artifacts(run_id, "bundle/demo/note.txt")
    assert Path(path).read_text() == "hello"
    stored.upload(make_run(files=(replace(table, digest="2"), note)))
    assert made == ["texts", "note", "texts"]


def test_a_table_is_found_by_mlflow_and_loads(stored, make_run, files, monkeypatch):
    _, (table, _) = files
    stored.upload(make_run(files=(table,)))
    run = stored.held()[make_run().name]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{stored.root / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "world")
    loaded = mlflow.load_table("texts.json", run_ids=[run.info.run_id], extra_columns=["run_id"])
    assert (
        loaded["row"].tolist() == ["a", "b"] and loaded["run_id"].tolist() == [run.info.run_id] * 2
    )


def test_files_whose_upload_was_cut_off_are_uploaded_again(stored, make_run, files):
    def broken():
        raise ConnectionError("gone")

    made, (table, note) = files
    with pytest.raises(ConnectionError):
        stored.upload(make_run(files=(table, replace(note, content=broken))))
    assert UPLOADED not in stored.held()[make_run().name].data.tags
    stored.upload(make_run(files=(table, note)))
    run = stored.held()[make_run().name]
    assert Uploaded.of(run.data.tags).files and made == ["texts", "texts", "note"]


def test_the_machine_is_measured_by_the_names_of_mlflows_page(root):
    tracker = MlflowTracker(root)
    assert tracker.system_metrics() == {}, "no time has passed in which it could be busy"
    found = tracker.system_metrics()
    assert {"cpu_utilization_percentage", "system_memory_usage_megabytes"} <= found.keys()
    assert all(isinstance(value, float) for value in found.values())
    assert 0 < found["system_memory_usage_percentage"] <= 100


def test_memory_and_mlflow_hold_the_same(stored, make_run, running, parent):
    tracker = MemoryTracker()
    within = (parent("demo-1"),)
    runs = [
        running(10, parents=within),
        make_run(parents=within),
        make_run(name="encoder/other", series={}, parents=within),
        make_run(name="demo-1", title="demo"),
    ]
    for run in runs:
        tracker.upload("world", [run])
        stored.upload(run)
    stored = stored.held()
    ids = {run.info.run_id: name for name, run in stored.items()}
    assert {name for _, name in tracker.runs} == set(stored)
    for (_, name), run in tracker.runs.items():
        theirs = stored[name]
        assert run.params == theirs.data.params
        assert run.tags.items() <= theirs.data.tags.items()
        assert (run.status, run.title) == (theirs.info.status, theirs.info.run_name)
        assert run.parent == ids.get(theirs.data.tags.get("mlflow.parentRunId"))
        assert {value.name: value.value for value in run.values} == theirs.data.metrics


@pytest.mark.slow
@pytest.mark.parametrize("order", ["(silent, log)", "(log, silent, log)"])
def test_nothing_is_printed_by_mlflow_once_the_job_has_ended(start_python, order):
    """Whether it was just being imported or had been: the last line is the job's own."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = start_python(
        "-c", SILENCED.format(order=order), env=environment, stderr=subprocess.PIPE
    )
    _, err = process.communicate()
    assert process.returncode == 0
    assert err.count("Operation will be retried") == order.count("log") - 1
