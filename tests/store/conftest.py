"""Programs that tests of the store start, stop and kill."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
SOURCE_ROOT = Path(__file__).parents[2] / "platform"


@pytest.fixture
def start_program():
    """Start a program of tests/store/programs; what still runs when the test ends is killed."""
    started = []

    def start(name, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(PROGRAMS / name), *map(str, arguments)],
            env={"PYTHONPATH": str(SOURCE_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
