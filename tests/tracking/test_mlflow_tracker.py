"""A stage is one MLflow run, however often and in however many pieces it is uploaded."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from interlingua.tracking.runs import (
    FINISHED,
    LAST_STEP,
    MAX_NAME,
    MAX_TEXT,
    RUN,
    SKIPPED,
    MemoryTracker,
)

SOURCE = Path(__file__).parents[2] / "platform"
SILENCED = """
from pathlib import Path
from interlingua.tracking.mlflow_tracker import MlflowTracker

silent = "MlflowTracker(Path('.')).be_silent()"
log = "from mlflow.store.db.utils import _logger; _logger.warning('Operation will be retried')"
for line in {order}:
    exec(line)
"""


def test_a_stage_is_one_run_with_what_it_is_and_what_it_measured(stored, outcome, stage_run):
    stored.upload(stage_run())
    run = stored.held()[stage_run().name]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "encoder/gpt2"
    assert run.info.end_time - run.info.start_time == 60_000
    tags = {name: value for name, value in run.data.tags.items() if "mlflow." not in name}
    assert tags == {
        RUN: "encoder/gpt2-0123456789ab",
        LAST_STEP: "20",
        FINISHED: outcome.finished,
        "kind": "encoder",
        "label": "gpt2",
        "fingerprint": "0123456789ab",
        "host": "gpt2",
        "seed": "3",
        "git_commit": "c0ffee",
        "git_is_dirty": "true",
        "ray_job_id": "job_1",
    }
    assert run.data.params["ridge"] == "0.1"
    assert run.data.metrics == {
        "encoder/loss": 0.05,
        "encoder/rate": 0.25,
        "encoder/result/num_rows": 7.0,
        "encoder/result/dev/nll": 0.5,
        "encoder/result/is_deficient": 1.0,
    }
    assert stored.history(run, "encoder/loss") == [(10, 0.1), (20, 0.05)]


def test_a_second_upload_adds_nothing(stored, stage_run):
    stored.upload(stage_run())
    before = stored.rows()
    stored.upload(stage_run())
    assert stored.rows() == before


def test_artifacts_would_go_to_the_run_root_and_nothing_to_where_the_job_started(
    stored, stage_run, root, tmp_path
):
    stored.upload(stage_run())
    run = stored.held()[stage_run().name]
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_stage_that_goes_on_goes_on_in_its_run(stored, reports, stage_run):
    stored.upload(stage_run(reports=reports(10, 20), outcome=None))
    assert stored.held()[stage_run().name].info.status == "RUNNING"
    stored.upload(stage_run(reports=reports(10, 20), outcome=None, has_stopped=True))
    assert stored.held()[stage_run().name].info.status == "KILLED"
    # Resumed at 10: step 20 was reported a second time.
    stored.upload(stage_run(reports=reports(10, 20, 30), outcome=None))
    assert stored.held()[stage_run().name].info.status == "RUNNING"
    stored.upload(stage_run(reports=reports(10, 20, 30, 40)))
    run = stored.held()[stage_run().name]
    assert run.info.status == "FINISHED"
    assert stored.history(run, "encoder/loss") == [(step, 1 / step) for step in (10, 20, 30, 40)]


def test_a_stage_that_is_built_again_shows_its_newest_record(stored, outcome, stage_run):
    again = replace(outcome, finished="2030-02-01T00:00:00+00:00", metrics={"num_rows": 8})
    stored.upload(stage_run())
    stored.upload(stage_run(outcome=again))
    stored.upload(stage_run())
    run = stored.held()[stage_run().name]
    assert run.data.metrics["encoder/result/num_rows"] == 8.0
    assert run.data.tags[FINISHED] == again.finished


def test_an_upload_that_was_cut_off_is_completed_without_doubles(stored, reports, stage_run):
    stored.upload(stage_run())
    before = stored.rows()["metrics"]
    run = stored.held()[stage_run().name]
    stored.client().delete_tag(run.info.run_id, LAST_STEP)
    stored.client().delete_tag(run.info.run_id, FINISHED)
    stored.upload(stage_run(reports=reports(10, 20, 30)))
    assert set(before) < set(stored.rows()["metrics"])
    assert len(stored.history(run, "encoder/loss")) == 3


def test_a_run_that_somebody_deleted_stays_deleted(stored, reports, stage_run):
    stored.upload(stage_run())
    stored.client().delete_run(stored.held()[stage_run().name].info.run_id)
    stored.upload(stage_run(reports=reports(10, 20, 30)))
    assert stored.held() == {}


def test_a_failed_gate_is_seen(stored, outcome, stage_run):
    stored.upload(stage_run(outcome=replace(outcome, failed_gates=("collapse", "leakage"))))
    run = stored.held()[stage_run().name]
    assert run.info.status == "FAILED"
    assert run.data.tags["failed_gates"] == "collapse, leakage"


def test_what_is_no_finite_number_is_counted(stored, outcome, reports, stage_run):
    odd = [
        {"step": 1, "loss": float("nan"), "rate": 0.5},
        {"step": 2, "loss": float("inf"), "note": "spike"},
        {"step": 3, "loss": 2.0},
    ]
    metrics = {"fve": float("-inf"), "words": ["a"], "nested": {"num": 1, "none": None}}
    stored.upload(stage_run(reports=odd, outcome=replace(outcome, metrics=metrics)))
    run = stored.held()[stage_run().name]
    assert run.data.metrics == {
        "encoder/loss": 2.0,
        "encoder/rate": 0.5,
        "encoder/result/nested/num": 1.0,
    }
    assert run.data.tags[SKIPPED] == (
        "encoder/loss: 2, encoder/note: 1, encoder/result/fve: 1, encoder/result/nested/none: 1, "
        "encoder/result/words: 1"
    )


def test_many_params_and_many_values_go_in_batches(stored, reports, stage_run):
    spec = {
        "__type__": "Big",
        "hosts": [{"__type__": "Host", "tag": f"h{number}", "width": 4} for number in range(80)],
        "template": "x" * 9000,
        "words": ["a", "b"],
        "none": None,
        "a" * 300: 1,
        "ends in ../and has \u00e9": 2,
    }
    many = [{"step": step, **{f"m{n}": n + 0.5 for n in range(9)}} for step in range(1, 301)]
    stored.upload(stage_run(spec=spec, reports=many))
    run = stored.held()[stage_run().name]
    params = run.data.params
    assert len(params) == 1 + 3 * 80 + 5
    assert params["hosts.0"] == "Host"
    assert params["hosts.79.tag"] == "h79"
    assert (params["words"], params["none"]) == ('["a", "b"]', "null")
    assert params["template"][:400] == "x" * 400
    assert len(params["template"]) == MAX_TEXT
    assert max(map(len, params)) == MAX_NAME
    assert params["ends in ../and has _"] == "2"
    assert len(stored.history(run, "encoder/m8")) == 300


def test_stages_are_nested_in_their_trial_and_the_trial_in_its_sweep(stored, stage_run):
    child = stage_run(parents=("slots", "trial-1"))
    stored.upload(child, stage_run(parents=("slots", "trial-2")), stage_run())
    stored.upload(child)
    runs, name = stored.held(), stage_run().name
    above = {
        "slots": None,
        "slots/trial-1": "slots",
        "slots/trial-2": "slots",
        f"slots/trial-1/{name}": "slots/trial-1",
        f"slots/trial-2/{name}": "slots/trial-2",
        name: None,
    }
    names = {run.info.run_id: name for name, run in runs.items()}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert {name: names.get(parent) for name, parent in parents.items()} == above
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_memory_and_mlflow_hold_the_same(stored, reports, stage_run):
    tracker = MemoryTracker()
    runs = [
        stage_run(reports=reports(10), outcome=None),
        stage_run(reports=reports(10, 20)),
        stage_run(label="other", reports=[]),
    ]
    for run in runs:
        tracker.upload("world", [run])
        stored.upload(run)
    stored = stored.held()
    assert {name for _, name in tracker.runs} == set(stored)
    for (_, name), run in tracker.runs.items():
        theirs = stored[name]
        assert run.params == theirs.data.params
        assert run.tags.items() <= theirs.data.tags.items()
        assert run.status == theirs.info.status
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
