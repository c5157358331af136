"""The state of a run root, read from its folders, locks and notes. Loads no model, asks no Ray."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from interlingua.stages.running.reports import last_report
from interlingua.store.lock import ArtifactLocked, Holder, holder_of
from interlingua.store.partial import (
    PARTIAL_SUFFIX,
    Failure,
    first_attempt,
    last_failure,
    latest_folder,
)
from interlingua.store.provenance import command_of
from interlingua.store.record import RECORD_NAME
from interlingua.store.run_notes import RUNNING as RUN_RUNNING
from interlingua.store.run_notes import RunNote, read_notes

DONE, RUNNING, FAILED, LEFT, WAITING = "done", "running", "failed", "left", "waiting"
LOCK_SUFFIX = ".lock"
GATES_KIND = "evaluation"
PAGE = "report.html"


class StageState(NamedTuple):
    """A stage of a root; `left` is one that a process which is gone did not finish."""

    key: str
    state: str
    partial: Path
    holder: Holder | None = None
    began: float | None = None
    report: dict[str, Any] | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class RunState:
    """A noted run and its stages."""

    note: RunNote
    stages: list[StageState]

    def of(self, state: str) -> list[StageState]:
        """The stages in this state."""
        return [one for one in self.stages if one.state == state]


class OlderCommand(NamedTuple):
    """A command that left finished stages and no note."""

    command: str
    num_stages: int
    finished: str
    pages: list[Path]


@dataclass(frozen=True, slots=True)
class RootState:
    """Noted runs, the newest last; what belongs to none of them; commands without a note."""

    root: Path
    runs: list[RunState]
    others: list[StageState]
    older: list[OlderCommand]

    @property
    def running(self) -> list[StageState]:
        """Everything that a live process works on."""
        own = [one for run in self.runs for one in run.of(RUNNING)]
        found = {one.key: one for one in [*own, *self.others] if one.state == RUNNING}
        return list(found.values())


def root_state(root: Path) -> RootState:
    """The state of the root at this moment."""
    runs = [_run_state(note, root) for note in read_notes(root)]
    noted = {one.key for run in runs for one in run.stages}
    others = [stage_state(key, root) for key in sorted(_unfinished(root) - noted)]
    return RootState(root, runs, others, list(_older(root, noted)))


def stage_state(key: str, root: Path) -> StageState:
    """The state of one stage."""
    target = root / key
    if (target / RECORD_NAME).is_file():
        return StageState(key, DONE, target)
    partial = latest_folder(target)
    try:
        holder = holder_of(target)
    except ArtifactLocked as error:
        return StageState(key, FAILED, partial, failure=Failure(0.0, str(error)))
    failure = last_failure(partial)
    if holder is not None and holder.gone_because is None:
        state = RUNNING
    elif failure is not None:
        state = FAILED
    else:
        state = LEFT if partial.is_dir() or holder else WAITING
    return StageState(
        key,
        state,
        partial,
        holder=holder,
        began=first_attempt(partial),
        report=last_report(partial),
        failure=failure,
    )


def failed_gates(run: RunState, root: Path) -> dict[str, list[str]]:
    """The gates that the finished evaluations of a run failed, by their names."""
    found = {}
    for one in run.of(DONE):
        if one.key.startswith(f"{GATES_KIND}/"):
            metrics = json.loads((root / one.key / RECORD_NAME).read_bytes())["metrics"]
            if names := metrics.get("failed_gates"):
                found[one.key] = names
    return found


def _run_state(note: RunNote, root: Path) -> RunState:
    stages = [stage_state(key, root) for key in note.stages]
    if note.state != RUN_RUNNING:
        return RunState(note, stages)
    # Its own processes hold locks; what nobody holds only waits for them.
    is_tried = {one.key for one in stages if one.state in (FAILED, LEFT)}
    return RunState(note, [_fresh(one, note) if one.key in is_tried else one for one in stages])


def _fresh(one: StageState, note: RunNote) -> StageState:
    """What an earlier run left is what this one goes on from, when its turn comes."""
    if one.failure is not None and one.failure.time >= note.since:
        return one
    return one._replace(state=WAITING, failure=None)


def _unfinished(root: Path) -> set[str]:
    """The keys of everything with a lock or an unfinished folder."""
    names = [*root.glob(f"[!.]*/*{PARTIAL_SUFFIX}"), *root.glob(f"[!.]*/[!.]*{LOCK_SUFFIX}")]
    return {f"{path.parent.name}/{path.name.partition('.')[0]}" for path in names}


def _older(root: Path, noted: Collection[str]) -> Iterator[OlderCommand]:
    """Commands whose finished stages are of no noted run, by their records."""
    found: dict[str, list[str]] = {}
    pages: dict[str, list[Path]] = {}
    for path in root.glob(f"[!.]*/*/{RECORD_NAME}"):
        if f"{path.parent.parent.name}/{path.parent.name}" in noted:
            continue
        entries = json.loads(path.read_bytes())
        argv = entries["provenance"]["argv"]
        command = command_of(argv) if argv else "?"
        found.setdefault(command, []).append(entries["finished"])
        page = path.with_name(PAGE)
        pages.setdefault(command, []).extend([page] if page.is_file() else [])
    for command, finished in sorted(found.items(), key=lambda item: max(item[1])):
        yield OlderCommand(command, len(finished), max(finished), pages[command])
