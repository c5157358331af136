"""`python -m jobs.tour world_mini`: every step, its table, and what a step that fails leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1500)]

REPOSITORY = Path(__file__).parents[2]
MARK = "INTERLINGUA_TEST_TOUR"


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.tour", "world_mini", "--root", str(root), *arguments],
        cwd=REPOSITORY,
        env=environment | {MARK: str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_every_step_is_in_the_table_and_a_second_tour_finds_all_of_it(tmp_path, wait_until_gone):
    root, seconds = tmp_path / "root", []
    for _ in range(2):
        begun = time.monotonic()
        process = start(root)
        out, _ = process.communicate()
        seconds.append(time.monotonic() - begun)
        assert process.returncode == 0, out
        assert "FAILED" not in out and "not run" not in out
        assert "the largest difference to those in one process is 0" in " ".join(out.split())
        wait_until_gone(MARK, str(root))
    assert seconds[1] < seconds[0]


def test_a_step_that_fails_is_named_and_those_behind_it_are_not_run(tmp_path, wait_until_gone):
    root = tmp_path / "root"
    process = start(root, "--set", "evaluation.accepts=")
    out, _ = process.communicate()
    assert process.returncode == 1
    assert "train, reinforce, evaluate failed: ray job submit" in out
    assert "its numbers do not count" in out  # the end of what the job printed
    table = out.partition("The platform in one command")[2]
    assert "FAILED" in table and table.count("not run") == 4
    wait_until_gone(MARK, str(root))


def test_a_tour_that_is_broken_off_leaves_nothing_running(tmp_path, wait_until_gone):
    root = tmp_path / "root"
    process = start(root)
    log = root / "tour" / "2-train-reinforce-evaluate.log"
    while not log.exists() or "built in" not in log.read_text():
        assert process.poll() is None
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "interrupted; run the same command again" in out
    wait_until_gone(MARK, str(root))
