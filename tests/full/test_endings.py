"""SIGTERM and Ctrl-C wherever a job may run: alone, submitted, with three role groups."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.cluster.conftest import ray_head

__all__ = ["ray_head"]

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 300
SAID = "interrupted; run the same command again to go on from here"
# The demo's recipe, small enough to reach its role groups in a minute.
THREE_GROUPS = (
    "world_three_groups",
    "--set", "passages.corpus.num_passages=600", "--set", "speaking.max_new_tokens=12",
    "--set", "av.num_steps=12", "--set", "av.optim.warmup_steps=3",
    "--set", "ar.num_steps=12", "--set", "ar.optim.warmup_steps=3",
)  # fmt: skip


def fewer_steps() -> list[str]:
    from interlingua.recipes.world import world_three_groups

    return [
        argument
        for host in world_three_groups().hosts
        for field, value in (("num_steps", 20), ("warmup_steps", 5))
        for argument in ("--set", f"hosts.{host.tag}.source.pretrain.{field}={value}")
    ]


def seen(root, pattern, process):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(root.glob(pattern)):
        assert process.poll() is None and time.monotonic() < deadline, f"no {pattern}"
        time.sleep(0.05)


def start(*arguments, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.run", *map(str, arguments)],
        cwd=REPOSITORY,
        env={n: v for n, v in os.environ.items() if n != "RAY_ADDRESS"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As on a terminal: what is started in the background ignores Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def assert_ended_in_words(process, number=signal.SIGTERM):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, out + err
    assert err.splitlines()[-1] == SAID
    for word in ("Traceback", "SIGTERM", "PC: @"):
        assert word not in err, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_alone(number, tmp_path):
    process = start("world_mini", "--root", tmp_path / "root")
    seen(tmp_path / "root", "host/*.partial/metrics.jsonl", process)
    process.send_signal(number)
    assert_ended_in_words(process, number)


def test_with_three_role_groups(tmp_path):
    """In the middle of reinforcement; the next run goes on from there."""
    root = tmp_path / "root"
    arguments = (*THREE_GROUPS, *fewer_steps(), "--root", root)
    process = start(*arguments)
    seen(root, "rl/*.partial/metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    assert_ended_in_words(process)
    again = start(*arguments)
    seen(root, "rl/rl-*/artifact.json", again)
    again.send_signal(signal.SIGTERM)
    assert_ended_in_words(again)


def test_submitted(ray_head, tmp_path):
    root = tmp_path / "root"
    ray, environment = Path(sys.executable).with_name("ray"), os.environ | ray_head.environment
    at = ["--address", ray_head.jobs_url]
    subprocess.run(
        [ray, "job", "submit", *at, "--no-wait", "--submission-id", "stopped", "--working-dir", ".",
         "--runtime-env", "jobs/runtime_env.yaml", "--", "python", "-m", "jobs.run", "world_mini",
         "--root", root],
        cwd=REPOSITORY, env=environment, check=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(root.glob("host/*.partial/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run([ray, "job", "stop", *at, "stopped"], env=environment, check=True)
    logs = subprocess.run(
        [ray, "job", "logs", *at, "stopped"], env=environment, capture_output=True, text=True
    )
    assert SAID in logs.stdout, logs.stdout + logs.stderr
    assert "Traceback" not in logs.stdout
