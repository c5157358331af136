"""Fair timing of rival ways to do one thing: interleaved rounds, per-round ratios, the machine.

Knows no workload. Ratios are peer / ours within one round, so that a busy machine hurts both sides;
above 1 ours is faster. CPU time is that of this process.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    cpu_s: float
    wall_s: float


def interleaved(
    variants: Mapping[str, Callable[[], object]], *, num_rounds: int
) -> dict[str, list[Timing]]:
    """The timings of every variant, one a round; each round begins with another. No warm-up."""
    names = list(variants)
    timings: dict[str, list[Timing]] = {name: [] for name in names}
    for number in range(num_rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            timings[name].append(_timing(variants[name]))
    return timings


def ratio_table(timings: Mapping[str, Sequence[Timing]], *, ours: str) -> list[str]:
    """A markdown table: median seconds of every variant and its ratio to ours, median (min-max)."""
    lines = [
        "| variant | CPU s | wall s | CPU ratio to ours | wall ratio to ours |",
        "|---|---|---|---|---|",
    ]
    for name, variant in timings.items():
        cpu = _ratios([t.cpu_s for t in variant], [t.cpu_s for t in timings[ours]])
        wall = _ratios([t.wall_s for t in variant], [t.wall_s for t in timings[ours]])
        cpu_s, wall_s = median(t.cpu_s for t in variant), median(t.wall_s for t in variant)
        lines.append(f"| {name} | {cpu_s:.3f} | {wall_s:.3f} | {cpu} | {wall} |")
    return lines


def machine_lines() -> list[str]:
    """What ran this, and a warning where it is too busy for its numbers to be reported."""
    load, num_cores = os.getloadavg()[0], os.cpu_count() or 1
    lines = [f"machine: {_cpu_model()}, {num_cores} cores, 1-minute load {load:.1f}"]
    if load > num_cores + 1:
        lines.append(f"NOT TO BE REPORTED: load {load:.1f} is above {num_cores} cores + 1")
    return lines


def say(*lines: str) -> None:
    """Print at once: a bench that is broken off has said what it knew."""
    sys.stdout.write("\n".join(lines) + "\n" if lines else "")
    sys.stdout.flush()


def _timing(run: Callable[[], object]) -> Timing:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    return Timing(cpu_s=time.process_time() - cpu_s, wall_s=time.perf_counter() - wall_s)


def _ratios(peer: Sequence[float], ours: Sequence[float]) -> str:
    ratios = [theirs / own for theirs, own in zip(peer, ours, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
