"""A process that asks, killed at random moments: no row is asked twice, and every row ends."""

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.sources.openai import explaining, served
from tests.sources.teachers.asking import REASONS
from tests.sources.teachers.programs.ask import IN_FLIGHT, SAMPLES

PROGRAM = Path(__file__).parent / "programs" / "ask.py"
REPOSITORY = Path(__file__).parents[3]
COUNT, KILLS = 80, 8
NUM_ROWS = COUNT * SAMPLES
pytestmark = pytest.mark.timeout(120)


def slowly(asked):
    """An endpoint that takes 10 to 40 ms."""
    return replace(explaining(asked), seconds=random.uniform(0.01, 0.04))


class Asker:
    """The program, which asks in a process for each call."""

    def __init__(self, start_python, root):
        environment = os.environ | {
            "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
            "NO_PROXY": "127.0.0.1",
        }
        self._program = start_python(PROGRAM, root, COUNT, env=environment, stdin=subprocess.PIPE)

    def start(self, url, lost="never"):
        """The id of a new process."""
        self._program.stdin.write(f"{url} {lost}\n")
        self._program.stdin.flush()
        return int(self._line())

    def ended(self):
        """What the process counted; None of one that was killed."""
        lines = list(iter(self._line, "gone"))
        return json.loads(lines[0]) if lines else None

    def counted(self, url, lost="never"):
        """The counts of a process that is left alone, each of whose rows came to an end."""
        self.start(url, lost)
        counts = self.ended()
        assert sum(counts.get(name, 0) for name in ("num_explained", *REASONS)) == NUM_ROWS
        assert counts["explained"] == counts["num_explained"]
        return counts

    def _line(self):
        line = self._program.stdout.readline()
        assert line, "the program ended"
        return line.strip()


def test_a_killed_process_goes_on_where_it_was(tmp_path, start_python):
    asker = Asker(start_python, tmp_path)
    with served(slowly) as fake:
        for _ in range(KILLS):
            pid, until = asker.start(fake.url), len(fake.asked) + random.randint(4, 12)
            while len(fake.asked) < until:
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.04))
            os.kill(pid, signal.SIGKILL)
            assert asker.ended() is None, "it ended before it was killed"
        counts, times = asker.counted(fake.url), fake.times()
        assert max(times.values()) <= SAMPLES and len(fake.asked) <= NUM_ROWS
        num_unexplained = len(fake.asked) - counts["num_explained"]
        # Noted, and killed before it went out: lost as well, as nobody can know.
        assert 0 < num_unexplained <= counts["num_lost"] <= KILLS * IN_FLIGHT
        num_asked = len(fake.asked)
        again = asker.counted(fake.url, "again")
    assert len(fake.asked) == num_asked + counts["num_lost"]
    assert again["num_explained"] == NUM_ROWS and "num_lost" not in again
    assert max(fake.times().values()) > SAMPLES, "what was in flight is paid twice"
