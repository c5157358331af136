"""Jobs as people start them, from the root of the repository: as processes, or in this one."""

import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ADDRESSES = {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}
Start = Callable[..., subprocess.Popen]
Ended = tuple[int, str, str]  # exit code, and what was printed on stdout and stderr


@pytest.fixture(scope="session")
def job_mark(tmp_path_factory, wait_until_gone) -> Iterator[tuple[str, str]]:
    """The variable by which jobs are known; no process of one is left at the session's end."""
    # All processes of a job inherit it, whatever group and parent they end up with. Those of a
    # killed one take a minute to notice: they have it while other tests run.
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


@pytest.fixture
def run_job(capsys, monkeypatch) -> Callable[..., Ended]:
    """Run `python -m MODULE ARGUMENTS` to its end in this process, which has imported the rest."""

    def run(module: str, *arguments) -> Ended:
        for name in ADDRESSES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(REPOSITORY)
        monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
        with _settings_of_a_process_put_back():
            try:
                runpy.run_module(module, run_name="__main__")
                code = 0
            except SystemExit as ended:
                code = _exit_code(ended)
        return code, *capsys.readouterr()

    return run


@contextmanager
def _settings_of_a_process_put_back() -> Iterator[None]:
    """Without pytest's handlers of logs, so that the job makes its own; afterwards as before."""
    root, on_sigterm = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        signal.signal(signal.SIGTERM, on_sigterm)


def _exit_code(ended: SystemExit) -> int:
    """The exit code that Python gives a process, which prints a text and ends with 1."""
    if isinstance(ended.code, str):
        print(ended.code, file=sys.stderr)
        return 1
    return ended.code or 0
