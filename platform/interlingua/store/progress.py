"""The metrics of a running stage, one JSON line a report. Knows no tracker and no screen.

The file in the stage's folder is the truth: drivers tail it, trackers are fed from it. A line says
when it was written, which nothing that is computed may read.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlingua.store.atomic import write_atomically

PROGRESS_NAME = "metrics.jsonl"
DEV_EVALS_NAME = "dev_evals.jsonl"  # of a training run at `dev`
TIME = "time"  # seconds since 1970
ABOUT_A_DEV_EVAL = ("step", "score", "is_best", TIME)  # beside its numbers


class MetricsLog:
    """Appends reports of a stage; a resumed stage goes on where its checkpoint stands."""

    def __init__(self, out: Path, *, resume_step: int) -> None:
        self._path = out / PROGRESS_NAME
        kept = [line for line in read_timed_metrics(out) if line["step"] <= resume_step]
        # Atomically: a kill in between must not lose the reports before the checkpoint.
        with write_atomically(self._path) as file:
            file.write("".join(json.dumps(line) + "\n" for line in kept).encode())

    def append(self, step: int, **values: float) -> None:
        """Add one report; a reader sees whole lines only."""
        # With its end in one write: readers skip a line that has none, as a kill may leave it.
        line = json.dumps({"step": step, **values, TIME: now()}) + "\n"
        with self._path.open("a") as file:
            file.write(line)
            file.flush()


def now() -> float:
    """The time as lines have it, to the millisecond."""
    return round(time.time(), 3)


def read_timed_metrics(out: Path) -> list[dict[str, Any]]:
    """All reports of a stage's folder; a line cut off by a kill is left out."""
    try:
        lines = (out / PROGRESS_NAME).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """All reports without their times: the same, however often a stage was broken off."""
    return [
        {name: value for name, value in line.items() if name != TIME}
        for line in read_timed_metrics(out)
    ]


def read_dev_evals(out: Path) -> list[dict[str, Any]]:
    """All evaluations on `dev` of a training run, in the order of their steps."""
    path = out / DEV_EVALS_NAME
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def numbers_of(dev_eval: Mapping[str, float]) -> dict[str, float]:
    """The numbers of an evaluation alone."""
    return {name: value for name, value in dev_eval.items() if name not in ABOUT_A_DEV_EVAL}


def first_metrics(out: Path) -> dict[str, Any] | None:
    """The oldest report, read from the start of the file; None before it."""
    try:
        with (out / PROGRESS_NAME).open() as file:
            line = file.readline()
    except FileNotFoundError:
        return None
    return json.loads(line) if line.endswith("\n") else None


def last_metrics(out: Path, *, tail_bytes: int = 4096) -> dict[str, Any] | None:
    """The newest report, read from the end of the file; None before the first."""
    try:
        with (out / PROGRESS_NAME).open("rb") as file:
            # This may land in the middle of a line, whose rest has no brace at its start. The file
            # is ASCII (json.dumps), so that no character is cut.
            start = max(0, file.seek(0, os.SEEK_END) - tail_bytes)
            file.seek(start)
            lines = file.read().decode().splitlines(keepends=True)
    except FileNotFoundError:
        return None
    whole = [line for line in lines if line.endswith("\n") and line.startswith("{")]
    if not whole and start:  # one line may be longer than the tail
        return last_metrics(out, tail_bytes=16 * tail_bytes)
    return json.loads(whole[-1]) if whole else None
