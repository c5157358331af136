"""Show the runs of a run root in MLflow, at http://127.0.0.1:5000: `interlingua ui`."""

import argparse
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from interlingua.commands.command_line import check_port
from interlingua.tracking.addresses import run_pages
from interlingua.tracking.database import UI_PORT, ui_arguments

HOST = "127.0.0.1"
POLL_SECONDS, END_SECONDS = 0.2, 10.0
SHOWN_LINES = 20  # of MLflow's own, where it fails


class PageFailed(RuntimeError):
    """MLflow's server ended by itself."""


def main(arguments: argparse.Namespace) -> None:
    """Run MLflow's own server, on this machine only, until Ctrl-C; say where it is."""
    command = ui_arguments(arguments.root, arguments.port)
    check_port(HOST, arguments.port)
    # Its lines about itself are of use only where it fails.
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with (
        tempfile.TemporaryFile() as log,
        # A group of its own: Ctrl-C ends it by way of this process, which says nothing then.
        subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            if _is_answered(process, arguments.port):
                _show_pages(arguments.root, f"http://{HOST}:{arguments.port}")
            code = process.wait()
        except KeyboardInterrupt:
            return
        finally:
            _end(process)
        raise PageFailed(_why(log, code))


def ui_parser() -> argparse.ArgumentParser:
    """Arguments: the run root and the port."""
    made = argparse.ArgumentParser(prog="python -m jobs.ui", description=__doc__)
    made.add_argument("--root", type=Path, default=Path("runs"), help="where artifacts are")
    made.add_argument("--port", type=int, default=UI_PORT, help=f"default: {UI_PORT}")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def _show_pages(root: Path, server: str) -> None:
    """Say where runs and reports are."""
    from interlingua.report.page.page import PAGE_NAME

    for pages in run_pages(root, server, PAGE_NAME):
        print(f"{pages.experiment}\n  runs    {pages.runs}")
        if pages.file is not None:
            print(f"  report  {pages.file}")
    print(f"all runs of {root}: {server} (Ctrl-C ends it)", flush=True)


def _is_answered(process: subprocess.Popen[bytes], port: int) -> bool:
    """True once somebody answers there; False where the server ended before."""
    while process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=POLL_SECONDS):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server with the processes that it started."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, which)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
            return


def _why(log: IO[bytes], code: int) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]
    return "\n".join([f"MLflow's server ended with exit code {code}; its last lines:", *lines])
