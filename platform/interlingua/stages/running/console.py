"""Progress for people: bars on a terminal, plain lines in a job's log. Knows no backend.

What a stage reports is read from the metrics file in its folder, wherever it runs.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from interlingua.specs.extraction import LastToken, Pooled, Reading, Spans
from interlingua.stages.running.context import names_of
from interlingua.stages.running.estimates import readable_seconds
from interlingua.stages.running.reports import last_report, shown_numbers, shown_steps
from interlingua.stages.running.time_left import TimeLeft
from interlingua.store.artifact import Artifact, Stage, folder
from interlingua.store.partial import latest_folder
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import read_verbalized

LINE_EVERY_SECONDS = 20.0  # of each stage, in a log
WHOLE = ""  # the key of the bar of everything


class ConsoleWatcher:
    """Prints which stages are done, which were reused, and how far the running ones are."""

    def __init__(self, root: Path, stages: Sequence[Stage], console: Console | None = None) -> None:
        self._root, self._num_stages, self._names = root, len(stages), names_of(stages)
        self._console = console or Console()
        self._num_done, self._started = 0, set[str]()
        self._has_explained, self._began = False, time.monotonic()
        # In a log: when a stage was last reported, and at which step.
        self._lines: dict[str, tuple[float, int]] = {}
        self._left = TimeLeft(root, stages)
        self._bars = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24),
            TextColumn("{task.fields[report]}"), console=self._console, transient=True,
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
            self._print(line)

    def on_done(self, stage: Stage, artifact: Artifact) -> None:
        """Print one line: the time that the stage took, or that it was reused."""
        self._num_done += 1
        # A stage that was never seen running was finished before this run.
        is_built = stage.key in self._started
        self._left.note_done(stage, artifact.record.seconds if is_built else None)
        how = f"built in {readable_seconds(artifact.record.seconds)}" if is_built else "reused"
        if stage.key in self._tasks:
            self._bars.remove_task(self._tasks.pop(stage.key))
        name = self._names[stage.key]
        is_open = is_built and self._num_done < self._num_stages
        left = _left(self._left.of_all() if is_open else None)
        self._print(_words(f"[{self._num_done}/{self._num_stages}] {name} {how}", left))
        if stage.kind == "verbalized" and is_built and not self._has_explained:
            self._explain(list(first_explanation(stage, self._root)))

    def on_tick(self, running: Sequence[Stage]) -> None:
        """Show how far the running stages are: as bars, or as log lines where there is news."""
        self._started.update(stage.key for stage in running)
        self._left.note_running(running)
        if self._console.is_terminal:
            self._show_bars(running)
            return
        for stage in running:
            # The newest unfinished folder: a stage that was taken over writes to another one.
            report = last_report(latest_folder(folder(stage, self._root)))
            if report is not None and self._is_news(stage.key, report["step"]):
                words = f"{shown_steps(report)} {shown_numbers(report)}"
                left = _left(self._left.of(stage))
                self._print(_words(f"  {self._names[stage.key]} {words}", left))

    def _explain(self, lines: list[str]) -> None:
        if lines:
            self._has_explained = True
            self._print(f"the first explanation, after {time.monotonic() - self._began:.0f} s")
        for line in lines:
            self._print(f"  {line}")

    def _is_news(self, key: str, step: int) -> bool:
        """True where a stage moved since its last line, and that line is old enough."""
        now = time.monotonic()
        # The first report only starts the clock: a short stage prints no line of progress.
        reported, last_step = self._lines.setdefault(key, (now, -1))
        if now - reported < LINE_EVERY_SECONDS or step == last_step:
            return False
        self._lines[key] = now, step
        return True

    def _show_bars(self, running: Sequence[Stage]) -> None:
        """A bar for every running stage, below one for all of them."""
        left = _left(self._left.of_all()) or "time left unknown until like stages have run"
        self._show_bar(WHOLE, "all stages", self._num_done, self._num_stages, left)
        for stage in running:
            report = last_report(latest_folder(folder(stage, self._root)))
            name, left = self._names[stage.key], _left(self._left.of(stage))
            if report is None:
                self._show_bar(stage.key, name, 0, None, left)
            else:
                words = _words(shown_steps(report), left, shown_numbers(report))
                self._show_bar(stage.key, name, report["step"], report.get("num_steps"), words)

    def _show_bar(self, key: str, name: str, done: float, total: float | None, report: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(name, total=total, report="")
        task = self._tasks[key]
        self._bars.update(task, completed=done, total=total, report=report)

    def _print(self, line: str) -> None:
        # Not wrapped: what reads a log reads lines.
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def _left(seconds: float | None) -> str:
    """The time that is left, where it is known."""
    return "" if seconds is None else f"{readable_seconds(seconds)} left"


def _words(*parts: str) -> str:
    """What there is of the parts, with commas."""
    return ", ".join(filter(None, parts))


def first_explanation(stage: Stage, root: Path) -> Iterator[str]:
    """Two lines: a passage and the first explanation in this artifact; none where all failed."""
    turn, split = stage.spec.turns[0], stage.spec.turns[0].split
    access = SplitAccess({split})
    rows = read_verbalized(folder(stage, root), split, turn.predictor, access).rows
    row = next((row for row in rows if row.explanation), None)
    if row is None:
        return
    passages = folder(stage.inputs.rows[split].inputs.passages, root) / PASSAGES_NAME
    for passage in read_passages(passages, {split}, access):
        if passage.passage_id == row.passage_id:
            where = _where(stage.inputs.rows[split].spec.read, row.position)
            yield f"{stage.spec.host_tag}, {where}: {passage.text}"
            yield f"AV: {row.explanation}"
            return


def _where(read: Reading, position: int) -> str:
    """What an activation is of."""
    match read:
        case Pooled():
            return "pooled"
        case LastToken():
            return "last token"
        case Spans():
            return "one sentence"
    return f"token {position}"
