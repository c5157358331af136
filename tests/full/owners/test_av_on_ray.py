"""An owner that is frozen until it is taken for dead wakes while the next one trains."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.cluster.conftest import ray_head
from tests.conftest import started_with

from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.session import ray_session
from interlingua.cluster.training import RayTrainer
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft.av import AvProgram
from interlingua.stages.sft.best_weights import WEIGHTS_NAME
from interlingua.store import lock
from interlingua.store.artifact import build, find

__all__ = ["ray_head"]
pytestmark = [pytest.mark.ray, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[3]
PROGRAM = REPOSITORY / "tests" / "full" / "programs" / "stale_owner.py"
MARK = "INTERLINGUA_TEST_STALE"
OF_THE_HEAD = {"RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
MET_AT = 6  # the step at which the new owner waits for the old one to do its worst


class Meeting(AvProgram):
    """The new owner's training: at one step it waits until the old owner has ended."""

    def __init__(self, job):
        super().__init__(job)
        self._marks = job.out.parent.parent / "marks"

    def micro_batches(self, step, share):
        if step == MET_AT:
            (self._marks / "taken").touch()
            while not (self._marks / "ended").exists():
                time.sleep(0.05)
        return super().micro_batches(step, share)


class MeetingTrainer(RayTrainer):
    def fit(self, make, job, place):
        super().fit(Meeting, job, place)


@pytest.fixture
def on_head(ray_head, monkeypatch):
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    for name, value in (ray_head.environment | {"RAY_ADDRESS": ray_head.address}).items():
        monkeypatch.setenv(name, value)
    with ray_session() as ray:
        yield ray


@pytest.fixture
def own_root(mini_root, tmp_path) -> Path:
    """A root that shares everything before training."""
    root = tmp_path / "root"
    (root / "marks").mkdir(parents=True)
    for folder in mini_root.iterdir():
        (root / folder.name).symlink_to(folder)
    return root


def seen(path, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.05)


def signalled(value, number):
    """Send a signal to every process of the old owner's cluster."""
    for line in started_with(f"{MARK}={value}".encode()):
        os.kill(int(line.split()[0]), number)


def test_the_result_is_the_new_owners(
    on_head, start_python, own_root, mini_nla_root, monkeypatch, wait_until_gone
):
    marks, value = own_root / "marks", str(own_root)
    environment = {n: v for n, v in os.environ.items() if n not in OF_THE_HEAD}
    environment |= {MARK: value, "PYTHONPATH": str(REPOSITORY)}
    old = start_python(PROGRAM, own_root, marks, env=environment, cwd=REPOSITORY)
    seen(marks / "paused")
    signalled(value, signal.SIGSTOP)

    def wake():
        seen(marks / "taken")
        (marks / "woken").touch()
        signalled(value, signal.SIGCONT)
        (marks / "word").write_text(old.stdout.readlines()[-1])
        (marks / "ended").touch()

    monkeypatch.setattr(lock, "STALE_SECONDS", 2.0)
    waker = threading.Thread(target=wake)
    waker.start()
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "av")
    context = local_context(world_mini().placement, RayPool(), MeetingTrainer())
    artifact = build(stage, own_root, context)
    waker.join()
    assert (marks / "word").read_text().strip() == "LockLost"
    assert [path.name for path in artifact.path.parent.iterdir()] == [artifact.path.name]
    ours, theirs = (
        load_file(a.path / WEIGHTS_NAME) for a in (artifact, find(stage, mini_nla_root))
    )
    for name, weight in theirs.items():
        np.testing.assert_allclose(ours[name], weight, rtol=1e-3, atol=1e-5, err_msg=name)
    assert artifact.record.num_attempts == 2
    wait_until_gone(MARK, value)
