"""jobs.run killed, run again, and twice at once: same bytes, finished artifacts untouched.

That no process of a killed job stays is asked at the end of the session (`job_mark`).
"""

import signal
import time
from pathlib import Path

import pytest

from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of, needed_for
from interlingua.store.artifact import find
from interlingua.store.progress import read_metrics

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STAGES = needed_for("encoder", graph_of(world_mini()))
PATIENCE_SECONDS = 200
INTERRUPTED = "interrupted; run the same command again to go on from here"


def seen(process, root, pattern):
    """Wait until a path of this pattern exists in the root of the running job."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(root.glob(pattern)):
        assert process.poll() is None, f"it ended before there was {pattern}"
        assert time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.01)


def finished_files(root):
    """Every file of every finished artifact, with what tells whether it was touched."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for record in root.glob("*/*/artifact.json")
        for path in record.parent.rglob("*")
    }


def assert_same_models(root, undisturbed):
    for stage in STAGES:
        if stage.kind == "host":
            ours, theirs = (find(stage, each).path for each in (root, undisturbed))
            for name in ("model.safetensors", "tokenizer.json", "exam.parquet"):
                assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def assert_each_trained_once(root):
    """Two trainings of one host would report the same steps twice, or leave something behind."""
    for stage in STAGES:
        if stage.kind == "host":
            steps = [line["step"] for line in read_metrics(find(stage, root).path)]
            assert steps == sorted(set(steps)) and steps[-1] == stage.spec.pretrain.num_steps
    left = [path for path in root.glob("*/*") if path.suffix in {".lock", ".partial"}]
    assert left == []


@pytest.fixture
def start(start_job, tmp_path):
    """Start a job of the one root, up to the encoders."""
    return lambda: start_job("world_mini", "--until", "encoder", "--root", tmp_path / "root")


def test_killed_jobs_are_continued_and_of_two_at_once_each_stage_is_built_by_one(
    tmp_path, start, mini_root
):
    """Told to stop at the passages; of two, one killed at the hosts and one as they are read."""
    root = tmp_path / "root"
    process = start()
    seen(process, root, "passages/*.partial")
    process.send_signal(signal.SIGTERM)  # of Slurm, Kubernetes, `ray job stop`: as Ctrl-C ends it
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert err.splitlines()[-1] == INTERRUPTED
    assert not [word for word in ("Traceback", "SIGTERM", "PC: @") if word in err]

    kept: dict[Path, tuple[int, int]] = {}
    two = [start(), start()]
    for process, moment in zip(
        two, ("host/*.partial/checkpoint.pt", "activations/*.partial"), strict=True
    ):
        seen(process, root, moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert kept.items() <= finished_files(root).items()
        kept = finished_files(root)
    assert not all(find(stage, root) for stage in STAGES)

    jobs = [start(), start()]
    said = ["".join(job.communicate()) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert any("waiting for " in text and "is building it" in text for text in said)
    assert all("passages/world reused" in text for text in said)
    assert kept.items() <= finished_files(root).items()
    assert_same_models(root, mini_root)
    assert_each_trained_once(root)
