"""The time that stages still take, from the seconds that like ones took in the same root.

Nothing is known of a kind of stage that never ran there: then nothing is estimated.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from interlingua.store.artifact import RECORD_NAME
from interlingua.store.partial import first_attempt
from interlingua.store.progress import TIME, first_metrics, last_metrics

Inputs = Mapping[str, Sequence[str]]  # of each stage, by their keys


class Costs:
    """Seconds of finished stages, by kind, and by kind and label."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, key: str, seconds: float) -> None:
        """One more finished stage."""
        for name in (key.partition("/")[0], key.rpartition("-")[0]):
            self._seconds.setdefault(name, []).append(seconds)

    def expected(self, key: str) -> float | None:
        """The median of stages of the same kind and label, else of the same kind."""
        for name in (key.rpartition("-")[0], key.partition("/")[0]):
            if found := self._seconds.get(name):
                return median(found)
        return None


def costs_in(root: Path) -> Costs:
    """The seconds of everything that is finished in a root."""
    costs = Costs()
    for path in root.glob(f"[!.]*/*/{RECORD_NAME}"):
        entries = json.loads(path.read_bytes())
        folder = path.parent
        costs.add(f"{folder.parent.name}/{folder.name}", float(entries["seconds"]))
    return costs


def seconds_left_of(key: str, partial: Path, costs: Costs) -> float | None:
    """The seconds that a running stage still takes: by its steps, else by like stages."""
    first, last = first_metrics(partial), last_metrics(partial)
    if first is not None and last is not None and last["step"] > first["step"]:
        return seconds_left_by_steps(first, last)
    expected, began = costs.expected(key), first_attempt(partial)
    if expected is None or began is None:
        return expected
    return max(0.0, expected - (time.time() - began))


def seconds_left_by_steps(first: Mapping[str, Any], last: Mapping[str, Any]) -> float | None:
    """The seconds that the steps to come take, if they take what those between two reports took.

    Not from the start of the stage, which opens models before its first step.
    """
    if not {"num_steps", TIME} <= last.keys() or TIME not in first:
        return None
    a_step = (last[TIME] - first[TIME]) / (last["step"] - first["step"])
    return max(0.0, a_step * (last["num_steps"] - last["step"]))


def seconds_left(
    left: Mapping[str, float | None], inputs: Inputs, side_by_side: float
) -> float | None:
    """The seconds until all of these stages are done; None where of one nothing is known.

    They share the machine with as many as ran side by side; no chain of inputs goes faster.
    """
    known = {key: seconds for key, seconds in left.items() if seconds is not None}
    if len(known) < len(left):
        return None
    ends: dict[str, float] = {}
    for key in _in_order(known, inputs):
        before = [ends[one] for one in inputs.get(key, ()) if one in ends]
        ends[key] = max(before, default=0.0) + known[key]
    longest_chain = max(ends.values(), default=0.0)
    return max(longest_chain, sum(known.values()) / max(1.0, side_by_side))


def _in_order(keys: Collection[str], inputs: Inputs) -> list[str]:
    """The keys, each behind those of its inputs."""
    done: dict[str, None] = {}

    def visit(key: str) -> None:
        for one in inputs.get(key, ()):
            if one in keys and one not in done:
                visit(one)
        done[key] = None

    for key in keys:
        if key not in done:
            visit(key)
    return list(done)


def readable_seconds(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
