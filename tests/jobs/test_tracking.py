"""What a job did is found in MLflow, whether MLflow was there or not, and the page shows it."""

import os
import shutil
import signal
import socket
import sqlite3
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import find
from interlingua.store.progress import read_timed_metrics
from interlingua.tracking.database import DATABASE_NAME
from interlingua.tracking.runs import NOTE, RUN

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STAGES = needed_for("encoder", graph_of(world_mini()))
TRAINED = "host/toy-lfm-7b"
DEAD_SERVER = "http://user:secret@127.0.0.1:9"
PATIENCE_SECONDS = 200
HEAVY = {"mlflow", "sqlalchemy", "ray", "torch"}
# Runs jobs.run, then says which heavy modules it loaded.
LISTS_MODULES = f"""
import atexit, runpy, sys
atexit.register(lambda: print("loaded", sorted({HEAVY!r} & set(sys.modules))))
sys.argv = ["jobs.run", *sys.argv[1:]]
runpy.run_module("jobs.run", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def fit(start_job):
    """Run `python -m jobs.run world_mini --until encoder`: what it said, on both streams."""

    def run(root, **variables):
        before = ("-c", LISTS_MODULES)
        job = start_job(
            "world_mini", "--until", "encoder", "--root", root, before=before, **variables
        )
        out, err = job.communicate()
        assert job.returncode == 0, err
        return out, err

    return run


def without_a_host(mini_root, root) -> Path:
    """A copy of the run root in which one host is still to be trained."""
    shutil.copytree(mini_root, root, copy_function=os.link)
    (trained,) = (stage for stage in STAGES if stage.name == TRAINED)
    shutil.rmtree(find(trained, root).path)
    return root


def runs_in(root):
    """Every run of the recipe in the root's database, by its name, and the client."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root / DATABASE_NAME}")
    experiment = client.get_experiment_by_name("world_mini")
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.data.tags[RUN] for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}, client


def rows_of(root):
    with sqlite3.connect(root / DATABASE_NAME) as connection:
        tables = ("runs", "metrics", "params", "tags", "experiments")
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}


def assert_all_found(root):
    """Every stage is one finished run with the numbers and the origin that it recorded."""
    runs, client = runs_in(root)
    assert set(runs) == {"world_mini", *(stage.name for stage in STAGES)}
    recipe = runs["world_mini"]
    assert recipe.info.status == "FINISHED" and recipe.data.params["recipe"] == "world_mini"
    assert "`python -m jobs.run world_mini --until encoder" in recipe.data.tags[NOTE]
    assert {run.data.tags.get("mlflow.parentRunId") for run in runs.values()} == {
        None,
        recipe.info.run_id,
    }
    for stage in STAGES:
        run, artifact = runs[stage.name], find(stage, root)
        record = artifact.record
        assert run.info.status == "FINISHED"
        assert run.info.end_time >= run.info.start_time
        assert run.data.metrics["result/seconds"] == pytest.approx(record.seconds)
        for name, value in record.metrics.items():
            is_mean_of_steps = name.startswith("seconds_")
            is_interval = name.endswith(("_low", "_high", "_n"))
            if isinstance(value, int | float) and not (is_mean_of_steps or is_interval):
                found = run.data.metrics[f"result/{name}"]
                assert found == pytest.approx(float(value)), name
        tags = {"fingerprint": record.fingerprint, "hostname": record.provenance.hostname}
        if record.provenance.git_commit is not None:
            tags["git_commit"] = record.provenance.git_commit
        assert tags.items() <= run.data.tags.items()
    (host,) = (stage for stage in STAGES if stage.name == TRAINED)
    history = client.get_metric_history(runs[TRAINED].info.run_id, "train/loss")
    reports = read_timed_metrics(find(host, root).path)
    assert [(p.step, p.value) for p in history] == [(r["step"], r["loss"]) for r in reports]
    assert [p.timestamp for p in history] == [round(1000 * r["time"]) for r in reports]
    assert runs[TRAINED].data.tags["host"] == host.spec.tag


@pytest.fixture(scope="module")
def finished_root(mini_root, tmp_path_factory):
    return without_a_host(mini_root, tmp_path_factory.mktemp("finished") / "root")


def test_a_job_leaves_its_runs_and_the_next_one_adds_nothing(fit, finished_root):
    out, err = fit(finished_root)
    assert f"{TRAINED} built in" in out
    assert "WARNING" not in err
    # Who only hands stages to workers does without what models need.
    assert out.splitlines()[-1] == "loaded ['mlflow', 'ray', 'sqlalchemy']"
    assert_all_found(finished_root)

    before = rows_of(finished_root)
    out, err = fit(finished_root)
    assert err == ""
    assert f"{TRAINED} reused" in out
    assert out.splitlines()[-1] == "loaded []"
    assert rows_of(finished_root) == before


def test_a_server_that_is_down_stops_no_training_and_nothing_is_lost(fit, mini_root, tmp_path):
    root = without_a_host(mini_root, tmp_path / "root")
    out, err = fit(root, MLFLOW_TRACKING_URI=DEAD_SERVER)
    assert f"{TRAINED} built in" in out
    (line,) = [line for line in err.splitlines() if line.startswith("WARNING")]
    assert "results are not tracked for now" in line and "secret" not in err
    assert not (root / DATABASE_NAME).exists()

    out, err = fit(root)
    assert err == ""
    assert out.splitlines()[-1] == "loaded ['mlflow', 'sqlalchemy']"
    assert_all_found(root)


@pytest.fixture
def served(start_job, finished_root):
    """The address at which `python -m jobs.ui` shows that root, while the test runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start_job("--root", finished_root, "--port", port, before=("-m", "jobs.ui"))
    yield process, f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    process.communicate()


def answer(process, address):
    """What is there, as soon as anybody answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address) as response:
                return response.status, response.read().decode()
        except URLError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"nobody answers at {address}"
            time.sleep(0.1)


def test_the_page_is_served(served):
    process, address = served
    status, page = answer(process, address)
    assert status == 200 and "MLflow" in page
    query = "/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=world_mini"
    status, found = answer(process, address + query)
    assert status == 200 and '"world_mini"' in found


def test_without_a_database_the_page_says_what_to_do(start_job, tmp_path):
    job = start_job("--root", tmp_path, before=("-m", "jobs.ui"))
    _, err = job.communicate()
    assert job.returncode == 1
    assert err.startswith("error: ") and "run a recipe in" in err and err.count("\n") == 1
