"""Programs that tests of the store start, stop and kill."""

import subprocess
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
SOURCE_ROOT = Path(__file__).parents[2] / "platform"


@pytest.fixture
def start_program(start_python):
    """Start a program of tests/store/programs; what still runs when the test ends is killed."""

    def start(name, *arguments):
        environment = {"PYTHONPATH": str(SOURCE_ROOT)}
        return start_python(PROGRAMS / name, *arguments, env=environment, stdin=subprocess.PIPE)

    return start
