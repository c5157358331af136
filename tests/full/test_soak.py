"""Two jobs on Ray at once in one root, killed, told to stop and frozen for minutes, then left."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import compare_roots

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[2]
SECONDS = 240
PAUSE_SECONDS = (6.0, 25.0)
ADDRESSES = {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}


def start(root: Path) -> subprocess.Popen:
    environment = {n: v for n, v in os.environ.items() if n not in ADDRESSES}
    command = [sys.executable, "-m", "jobs.run", "world_mini", "--root", str(root)]
    log = (root.parent / f"{root.name}.log").open("ab")
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)


@pytest.mark.timeout(1800)
def test_whatever_happens_to_jobs_the_root_is_the_same(tmp_path):
    undisturbed, root = tmp_path / "undisturbed", tmp_path / "root"
    assert start(undisturbed).wait() == 0
    rng, jobs = random.Random(0), [start(root), start(root)]
    deadline, done = time.monotonic() + SECONDS, {"killed": 0, "stopped": 0, "frozen": 0}
    while time.monotonic() < deadline:
        time.sleep(rng.uniform(*PAUSE_SECONDS))
        place = rng.randrange(2)
        job, what = jobs[place], rng.choice(list(done))
        if job.poll() is None:
            done[what] += 1
            if what == "frozen":
                job.send_signal(signal.SIGSTOP)
                time.sleep(rng.uniform(1, 5))
                job.send_signal(signal.SIGCONT)
                continue
            job.send_signal(signal.SIGKILL if what == "killed" else signal.SIGTERM)
            job.wait(60)
        jobs[place] = start(root)
    print(done)
    for job in jobs:
        job.wait(600)
    assert start(root).wait() == 0
    assert sum(done.values()) > 4
    assert compare_roots.main(undisturbed, root) == 0
