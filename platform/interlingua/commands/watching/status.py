"""Say what is done, running, failed and left behind in a run root: `interlingua status`.

Reads files alone, also while runs go on: what every stage reports, who holds its lock, and the
notes of the commands that build here. Loads no model and starts no Ray.
"""

import argparse
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from interlingua.commands.watching.root_state import (
    DONE,
    FAILED,
    LEFT,
    PAGE,
    RUNNING,
    WAITING,
    OlderCommand,
    RootState,
    RunState,
    StageState,
    failed_gates,
    root_state,
)
from interlingua.stages.running.estimates import (
    Costs,
    costs_in,
    readable_seconds,
    seconds_left,
    seconds_left_of,
)
from interlingua.stages.running.reports import shown_numbers, shown_steps
from interlingua.store import run_notes
from interlingua.store.process import ProcessIdentity

RAY_ADDRESS = "RAY_ADDRESS"
ANSWER_SECONDS = 2.0
MOST_KINDS = 4


def main(arguments: argparse.Namespace) -> None:
    """Print the state of the root."""
    if not arguments.root.is_dir():
        raise ValueError(f"{arguments.root} is not there; name a run root with --root")
    state = root_state(arguments.root.absolute())
    print(*status_lines(state), sep="\n")


def status_parser() -> argparse.ArgumentParser:
    """The run root."""
    made = argparse.ArgumentParser(
        prog="interlingua status",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--root", type=Path, default=Path("runs"), help="default: runs")
    made.add_argument("--traceback", action="store_true", help="on an error, show where it was")
    return made


def status_lines(state: RootState) -> Iterator[str]:
    """The state of a root in lines for people."""
    costs = costs_in(state.root)
    yield f"root {state.root}"
    yield f"cluster: {_cluster(os.environ.get(RAY_ADDRESS))}"
    for older in state.older:
        yield ""
        yield _older_line(older)
        yield from (f"  report   {page}" for page in older.pages)
    for run in state.runs:
        yield ""
        yield from _run_lines(run, costs, state.root)
    if state.others:
        yield ""
        yield "of no noted run (a sweep's trials, or an earlier version):"
        for one in state.others:
            yield from _stage_lines(one, costs)
    if not (state.runs or state.others or state.older):
        yield "nothing was built here yet"
    elif not state.running:
        yield ""
        yield "nothing is running"


def _run_lines(run: RunState, costs: Costs, root: Path) -> Iterator[str]:
    note, num_done = run.note, len(run.of(DONE))
    yield f"{note.title}: {_state_words(run)}"
    yield f"  $ {note.command}"
    where = "a Ray of its own" if note.cluster is None else f"the Ray at {note.cluster}"
    yield f"  {_process(note.process)}, {where}"
    counts = [f"{num_done} of {len(run.stages)} stages done"]
    for state in (RUNNING, FAILED, LEFT, WAITING):
        if (number := len(run.of(state))) and run.stages:
            counts.append(f"{number} {'left unfinished' if state == LEFT else state}")
    left = f"; time left: {_time_left(run, costs)}" if note.state == run_notes.RUNNING else ""
    yield f"  {', '.join(counts)}{left}"
    for state in (RUNNING, FAILED, LEFT):
        for one in run.of(state):
            yield from _stage_lines(one, costs)
    noted = {one.key.rpartition("-")[0] for one in run.of(FAILED)}
    for name, cause in note.causes.items():
        if name not in noted:  # it failed before, or without, a folder of its own
            yield f"  failed   {name or 'the command'}: {cause}"
    for name, gates in failed_gates(run, root).items():
        yield f"  gates    {name} failed {', '.join(gates)}: its numbers do not count"
    for one in run.of(DONE):
        if (page := root / one.key / PAGE).is_file():
            yield f"  report   {page}"


def _state_words(run: RunState) -> str:
    note = run.note
    match note.state:
        case run_notes.RUNNING:
            return f"running since {_clock(note.since)}"
        case run_notes.DONE:
            began = f", begun {_clock(note.since)}" if note.ended else ""
            return f"done{'' if note.ended is None else f' at {_clock(note.ended)}'}{began}"
        case run_notes.FAILED:
            when = "" if note.ended is None else f" at {_clock(note.ended)}"
            return f"failed{when}; the same command tries again and goes on from what is done"
    when = "" if note.ended is None else f" at {_clock(note.ended)}"
    return f"stopped{when}; the same command goes on from there"


def _stage_lines(one: StageState, costs: Costs) -> Iterator[str]:
    name = one.key.rpartition("-")[0]
    steps = "" if one.report is None else f" {shown_steps(one.report)}"
    match one.state:
        case "running":
            left = readable_seconds(seconds_left_of(one.key, one.partial, costs))
            since = "" if one.began is None else f", since {_clock(one.began)}"
            yield f"  running  {name}{steps}{since}, time left: {left} ({_holder(one)})"
            if one.report is not None and (numbers := shown_numbers(one.report)):
                yield f"           {numbers}"
        case "failed":
            assert one.failure is not None
            when = f" at {_clock(one.failure.time)}" if one.failure.time else ""
            yield f"  failed   {name}{steps}{when}: {one.failure.error}"
        case "left":
            if one.holder is None:
                yield f"  left     {name}{steps}: given up; the same command goes on from it"
            else:
                yield (
                    f"  left     {name}{steps}: of {_holder(one)}, {one.holder.gone_because}; the "
                    "same command takes it over"
                )


def _time_left(run: RunState, costs: Costs) -> str:
    running = run.of(RUNNING)
    left = {
        one.key: seconds_left_of(one.key, one.partial, costs)
        if one.state == RUNNING
        else costs.expected(one.key)
        for one in run.stages
        if one.state in (RUNNING, WAITING, LEFT)
    }
    seconds = seconds_left(left, run.note.stages, len(running))
    if seconds is not None:
        return f"about {readable_seconds(seconds)}"
    kinds = sorted({key.partition("/")[0] for key, one in left.items() if one is None})
    others = f" and {len(kinds) - MOST_KINDS} more" if len(kinds) > MOST_KINDS else ""
    return f"unknown (never run here: {', '.join(kinds[:MOST_KINDS])}{others})"


def _holder(one: StageState) -> str:
    return "nobody" if one.holder is None else _process(one.holder.owner.process)


def _process(process: ProcessIdentity) -> str:
    return f"pid {process.pid} on {process.hostname}"


def _older_line(older: OlderCommand) -> str:
    finished = _clock(datetime.fromisoformat(older.finished).timestamp())
    return f"{older.num_stages} stages done, the last at {finished}\n  $ {older.command}"


def _clock(seconds: float) -> str:
    """The time of the day, with the date where it is not today."""
    moment = datetime.fromtimestamp(seconds)
    is_today = moment.date() == datetime.now().date()
    return moment.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _cluster(address: str | None) -> str:
    if address is None:
        return f"none at hand ({RAY_ADDRESS} is not set): every command starts a Ray of its own"
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return f"{RAY_ADDRESS} is {address}, which is not host:port of a Ray head"
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        return f"the Ray at {address} does not answer ({error})"
    return f"the Ray at {address} answers"
