"""Jobs as people start them: processes of their own, from the root of the repository."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ADDRESSES = {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}
Start = Callable[..., subprocess.Popen]


@pytest.fixture(scope="module")
def job_mark(tmp_path_factory, wait_until_gone) -> Iterator[tuple[str, str]]:
    """The variable by which this module's jobs are known; none of them is left at its end."""
    # All processes of a job inherit it, whatever group and parent they end up with.
    mark = ("INTERLINGUA_TEST_JOB", str(tmp_path_factory.mktemp("mark")))
    yield mark
    wait_until_gone(*mark)


@pytest.fixture
def start_job(start_python, job_mark) -> Start:
    """Start `python -m jobs.run`; what still runs when the test ends is killed."""
    environment = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    environment |= dict([job_mark])

    def start(*arguments, before=("-m", "jobs.run"), **variables) -> subprocess.Popen:
        return start_python(
            *before,
            *arguments,
            cwd=REPOSITORY,
            env=environment | variables,
            stderr=subprocess.PIPE,
        )

    return start
