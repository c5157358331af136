"""A whole run and a server, piped to a file: not a line of a library, and no line is wrapped."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

REPOSITORY = Path(__file__).parents[2]
MOST_LINES = 200
# Lines that Ray's workers print come with their pid; logs of C++ and of servers with a time.
FOREIGN = re.compile(
    r"pid=\d+|^\[?\d{4}[-/]\d\d|Warning:|real_accelerator|core_worker|uvicorn|raylet|serve \d+ --",
    re.MULTILINE,
)
OURS = re.compile(r"\[\d+/\d+\] [a-z]+/\S+ (built in|reused)|  [a-z]+/\S+ \d+/\d+ ")


def started(*words) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "interlingua", *map(str, words)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("quiet") / "root"
    process = started("run", "world_mini", "--root", root)
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return root, out


def test_a_run_says_nothing_of_libraries(finished):
    root, out = finished
    lines = out.splitlines()
    # What a stage warns of in a worker is ours, and comes with its name.
    of_ours = [re.sub(r"^\([a-z]+/\S+ pid=\d+\) ", "", line) for line in lines]
    assert [line for line in of_ours if FOREIGN.search(line)] == []
    assert len(lines) < MOST_LINES
    done = [place for place, line in enumerate(lines) if re.match(r"\[\d+/\d+\] ", line)]
    first, last = done[0], done[-1]
    progress = [
        line for line in lines[first : last + 1] if not (OURS.match(line) or "pid=" in line)
    ]
    # The first explanation, in three lines.
    assert len(progress) <= 3, progress
    assert lines[-1] == f"all runs:  interlingua ui --root {root}"


def test_a_server_says_nothing_of_libraries(finished):
    root, _ = finished
    (bundle,) = root.glob("bundle/world_mini-*")
    process = started("serve", bundle, "--port", "8653")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("curl"):
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate()
    assert process.returncode == 0, rest
    assert [line for line in (*lines, *rest.splitlines()) if FOREIGN.search(line)] == []
