"""Exit codes, and errors in one line, of commands that serve, are interrupted, or are mistyped."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from interlingua.commands.command_line import check_port, parser, run_command
from interlingua.commands.entry import main
from interlingua.commands.using import serve as serve_command
from interlingua.commands.watching import ui as ui_command
from interlingua.tracking.database import DATABASE_NAME


@pytest.fixture
def taken():
    """A port at which somebody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def ended(capsys, *words):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    code = exit_.value.code
    line = code if isinstance(code, str) else capsys.readouterr().err
    return (1 if isinstance(code, str) else code), line


def test_a_taken_port_is_an_error_of_the_page_of_runs(capsys, tmp_path, taken, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / DATABASE_NAME).touch()
    code, line = ended(capsys, "ui", "--root", str(tmp_path), "--port", str(taken))
    assert code == 1 and line.startswith(f"error: port {taken} of 127.0.0.1 cannot be used")
    assert "--port" in line and "\n" not in line


def test_a_taken_port_is_an_error_of_a_server_before_ray_starts(capsys, taken, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(serve_command, "bundles_named", lambda given: {"a": "/a"})
    monkeypatch.setattr(serve_command, "evaluations_served", lambda given, bundles: {})
    code, line = ended(capsys, "serve", "bundle", "--port", str(taken))
    assert code == 1 and line.startswith(f"error: port {taken} of 127.0.0.1 cannot be used")


def test_a_free_port_is_none(taken):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    check_port("127.0.0.1", port)


def test_a_page_that_fails_says_why(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        ui_command,
        "ui_arguments",
        lambda root, port: [sys.executable, "-c", "raise SystemExit('no such table')"],
    )
    code, line = ended(capsys, "ui", "--port", "0")
    assert code == 1 and "ended with exit code 1" in line and "no such table" in line


@pytest.fixture
def handlers():
    """Handlers of signals are those of before, behind a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_as_shells_expect(capsys, handlers, number):
    def breaks(arguments):
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None  # as Ray makes one of its own of it

    with pytest.raises(SystemExit) as exit_:
        run_command(breaks, parser("jobs.run", "").parse_args(["demo"]))
    assert exit_.value.code == 128 + number
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "world", "--set", "av.num_steps=0"), "error: av.num_steps=0: num_steps is 0; it"),
        (
            ("add-host", "world", "--tag", "a.b", "--source", "x", "--dry-run"),
            "error: tag is 'a.b'; use letters",
        ),
        (
            ("add-host", "world", "--tag", "a", "--source", "path/to/model", "--dry-run"),
            "error: hosts.a.source.source=path/to/model: nothing is there; a model is a folder",
        ),
    ],
)
def test_an_error_names_what_was_typed_and_no_class(capsys, words, line):
    code, found = ended(capsys, *words)
    assert code == 1 and found.startswith(line) and "\n" not in found


def test_deepspeed_says_only_what_is_wrong():
    program = (
        "from interlingua.cluster.session import quiet_libraries; quiet_libraries(); "
        "from deepspeed.utils import logger; logger.warning('a warning'); logger.error('an error')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "a warning" not in done.stdout and "an error" in done.stdout


def test_who_reads_the_first_lines_alone_is_told_of_no_error():
    command = [sys.executable, "-m", "interlingua", "recipes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + signal.SIGPIPE
    process.stderr.close()
