"""A recipe submitted as a Ray job, as the README says it, from the root of the repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

pytestmark = [pytest.mark.ray, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]


def submitted(head, *arguments):
    """`ray job submit` in a process of its own, followed to the end of the job."""
    command = [
        str(Path(sys.executable).with_name("ray")), "job", "submit", "--address", head.jobs_url,
        "--working-dir", ".", "--runtime-env", "jobs/runtime_env.yaml",
        "--", "python", "-m", "jobs.run", "world_mini", *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | head.environment, capture_output=True, text=True
    )


def uploads(head):
    """The working directories that were uploaded to the head."""
    packages = "session_2*/runtime_resources/working_dir_files/_ray_pkg_*/"
    return [path for path in head.folder.glob(packages) if path.is_dir()]


@pytest.fixture(scope="module")
def job(ray_head, mini_root, tmp_path_factory):
    """A job that goes on from what models learn from to the report, and its run root.

    What comes before is compared in tests/jobs/test_killed.py.
    """
    root = tmp_path_factory.mktemp("submitted") / "runs"
    shutil.copytree(mini_root, root, copy_function=os.link)
    done = submitted(ray_head, "--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, root


def test_it_builds_what_is_built_without_ray(job, mini_nla_root):
    """Also what Ray Train and DeepSpeed trained: plain torch in one process comes out the same."""
    _, root = job
    for stage in graph_of(world_mini()):
        here, there = find(stage, root), find(stage, mini_nla_root)
        assert here is not None and there is not None
        assert here.record.fingerprint == there.record.fingerprint
        assert here.record.metrics.keys() == there.record.metrics.keys()
        if stage.kind in {"av", "ar"}:
            for metric, value in there.record.metrics.items():
                assert here.record.metrics[metric] == pytest.approx(value, abs=1e-3), metric


def test_its_records_say_which_job_it_was(job, mini_root):
    done, root = job
    print(done.stdout, done.stderr)
    records = set(root.glob("*/*/artifact.json"))
    records -= {root / path.relative_to(mini_root) for path in mini_root.glob("*/*/artifact.json")}
    assert len(records) > 10
    for path in records:
        provenance = json.loads(path.read_text())["provenance"]
        assert provenance["ray_job_id"].startswith("raysubmit_")
        assert provenance["ray_job_id"] in done.stdout + done.stderr
        assert provenance["argv"][1:] == ["world_mini", "--root", str(root)]


def test_it_runs_the_uploaded_copy_which_holds_no_more_than_the_source(job, ray_head):
    _, root = job
    [record] = root.glob("report/*/artifact.json")
    driver = Path(json.loads(record.read_text())["provenance"]["argv"][0])
    [copy] = uploads(ray_head)
    assert driver == copy / "jobs" / "run.py"
    names = {path.name for path in copy.iterdir()}
    assert {"jobs", "platform"} <= names
    assert names.isdisjoint({".git", ".venv", "runs", ".mypy_cache", ".hypothesis"})
    assert sum(path.stat().st_size for path in copy.rglob("*")) < 10 * 2**20


def test_a_root_that_would_vanish_with_the_job_is_refused(ray_head):
    done = submitted(ray_head, "--root", "runs")
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if "--root is runs" in line]
    assert said and "absolute path" in said[0]
