"""Progress for people: bars on a terminal, plain lines in a job's log. Knows no backend.

What a stage reports is read from the metrics file in its folder, wherever it runs.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from interlingua.stages.running.context import name_of
from interlingua.store.artifact import Artifact, Stage, folder
from interlingua.store.partial import latest_folder
from interlingua.store.progress import last_metrics

LINE_EVERY_SECONDS = 10.0
MOST_OF_STEP, MOST_OF_DEV = 4, 2


class ConsoleWatcher:
    """Says which stages are done, were done before, and how far the running ones are."""

    def __init__(self, root: Path, num_stages: int, console: Console | None = None) -> None:
        self._root, self._num_stages = root, num_stages
        self._console = console or Console()
        self._started = self._last_lines = time.monotonic()
        self._num_done, self._seen_running = 0, set[str]()
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[report]}"),
            TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "ConsoleWatcher":
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def on_preflight(self, lines: Sequence[str]) -> None:
        """Print the table as it is."""
        for line in lines:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def on_done(self, stage: Stage, artifact: Artifact) -> None:
        """Say so once, with the time it took or that nothing had to be done."""
        self._num_done += 1
        name = name_of(stage)
        how = f"built in {artifact.record.seconds:.0f} s" if name in self._seen_running else "kept"
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._console.print(
            f"[{self._num_done}/{self._num_stages}] {name} {how}", highlight=False, markup=False
        )

    def on_tick(self, running: Sequence[Stage]) -> None:
        """Show how far the running stages are."""
        self._seen_running.update(map(name_of, running))
        reports = {name_of(stage): self._report(stage) for stage in running}
        known = {name: report for name, report in reports.items() if report is not None}
        if self._console.is_terminal:
            for name, report in known.items():
                self._show_bar(name, report)
        elif time.monotonic() - self._last_lines > LINE_EVERY_SECONDS:
            self._last_lines = time.monotonic()
            for name in reports:
                self._console.print(
                    f"  {name} {_progress(known.get(name))}", highlight=False, markup=False
                )

    def _report(self, stage: Stage) -> dict[str, Any] | None:
        return last_metrics(latest_folder(folder(stage, self._root)))

    def _show_bar(self, name: str, report: dict[str, Any]) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=report["num_steps"], report="")
        self._bars.update(self._tasks[name], completed=report["step"], report=_numbers(report))


def _progress(report: dict[str, Any] | None) -> str:
    if report is None:
        return "not done yet"
    return f"{report['step']}/{report['num_steps']} {_numbers(report)}"


def _numbers(report: dict[str, Any]) -> str:
    """The first of what a step reports, and the first of the last look at `dev`: one line."""
    names = [name for name in report if name not in ("step", "num_steps")]
    of_dev = [name for name in names if name.startswith("dev_")]
    own = [name for name in names if name not in of_dev]
    shown = own[:MOST_OF_STEP] + of_dev[:MOST_OF_DEV]
    return " ".join(f"{name} {report[name]:.3g}" for name in shown)
