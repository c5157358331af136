"""Sweeps that are broken off in the middle, stopped by a scheduler, submitted, and on groups."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.cluster.conftest import ray_head

from interlingua.cluster.tuning import FOLDER_PREFIX

__all__ = ["ray_head"]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1500)]

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 600
SWEEP = ("tuners.slots", "world_mini", "--slots", "1,4", "--affine", "none,full", "--seeds", "2",
         "--steps", "60")  # fmt: skip
NUM_CELLS = 8


def start(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=REPOSITORY,
        env={n: v for n, v in os.environ.items() if n != "RAY_ADDRESS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def cells(root: Path) -> dict[Path, int]:
    """Finished cells, and when each was published."""
    return {path: path.stat().st_mtime_ns for path in root.glob("cell/*/artifact.json")}


def runs_of(root: Path, name: str) -> list:
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], max_results=1000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_same_command_finishes_only_what_is_missing(number, tmp_path):
    root = tmp_path / "runs"
    process = start(*SWEEP, "--root", root)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(cells(root)) < 3:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    if number == signal.SIGTERM:
        assert "interrupted; run the same command again" in err
    # What ran beside the driver is gone a moment after it.
    time.sleep(5)
    before = cells(root)
    assert 3 <= len(before) < NUM_CELLS
    again = start(*SWEEP, "--root", root)
    out, err = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, out + err
    after = cells(root)
    assert len(after) == NUM_CELLS
    assert {path: after[path] for path in before} == before, "a finished cell was made again"
    assert not list(root.glob(f"{FOLDER_PREFIX}*"))
    found = [run for run in runs_of(root, "slots-world_mini") if run.data.tags["kind"] == "recipe"]
    assert len(found) == NUM_CELLS, "one run a cell"
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_search_stops_what_falls_behind(tmp_path):
    root = tmp_path / "runs"
    process = start("tuners.rl", "world_mini", "--trials", 6, "--root", root)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, out + err
    trials = list(csv.DictReader((root / "searches/rl-world_mini.csv").open()))
    assert len(trials) == 6
    states = {trial["state"] for trial in trials}
    assert {"finished", "stopped"} == states
    stopped = sum(trial["state"] == "stopped" for trial in trials)
    assert len(cells(root)) == 6 - stopped, "a stopped trial is published nowhere"


def test_submitted_to_a_cluster(ray_head, tmp_path):
    root = tmp_path / "runs"
    command = [
        str(Path(sys.executable).with_name("ray")), "job", "submit", "--address",
        ray_head.jobs_url, "--working-dir", ".", "--runtime-env", "jobs/runtime_env.yaml",
        "--", "python", "-m", "tuners.seeds", "world_mini", "--seeds", "3", "--root", str(root),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | ray_head.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cells(root)) == 3


def test_a_cell_of_several_workers_is_a_group_of_ray_train(tmp_path):
    """The trial is its driver: the loop reports from the ranks."""
    root = tmp_path / "runs"
    process = start(
        "tuners.seeds", "world_mini", "--seeds", 2, "--root", root,
        "--set", "placement.training.workers.count=2",
    )  # fmt: skip
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, out + err
    assert len(cells(root)) == 2
    assert "dev " in out, "evaluations came from the group"
