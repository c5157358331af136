"""Show the runs of a run root in MLflow, at http://127.0.0.1:5000: `python -m jobs.ui`."""

import argparse
import sys
from pathlib import Path

from interlingua.tracking.addresses import run_pages
from interlingua.tracking.database import UI_PORT, start_ui


def main(arguments: argparse.Namespace) -> None:
    """Say where runs and reports will be, and become MLflow's own server, on this machine only."""
    from interlingua.report.page.page import PAGE_NAME

    server = f"http://127.0.0.1:{arguments.port}"
    for pages in run_pages(arguments.root, server, PAGE_NAME):
        print(f"{pages.experiment}\n  runs    {pages.runs}")
        if pages.file is not None:
            print(f"  report  {pages.file}")
    sys.stdout.flush()  # what this process becomes knows nothing of it
    start_ui(arguments.root, arguments.port)


def ui_parser() -> argparse.ArgumentParser:
    """Arguments: the run root and the port."""
    made = argparse.ArgumentParser(prog="python -m jobs.ui", description=__doc__)
    made.add_argument("--root", type=Path, default=Path("runs"), help="where artifacts are")
    made.add_argument("--port", type=int, default=UI_PORT, help=f"default: {UI_PORT}")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made
