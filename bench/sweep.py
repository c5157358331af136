"""Cells an hour of a sweep, against separate processes and a plain Tune script.

    .venv/bin/python -m bench.sweep [--recipe world_mini] [--cells 8] [--steps 60]

All three begin on a copy of one root in which everything that cells share is built, so that only
the cells are timed, and all run two at once. Ours: one command, trials that reuse their processes.
Separate: a command a cell, two side by side, over one shared root. Plain: a Tune script as a user
would write it around `build`, a fresh process a trial. Results must be equal, cell by cell. Peak
memory: the sum of proportional set sizes of all processes that were started.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.rounds import machine_lines, say
from interlingua.commands.sweeping.sweep import build_shared
from interlingua.recipes.registry import recipe_named
from interlingua.store.artifact import find
from interlingua.sweeps.catalog import slots_sweep
from interlingua.sweeps.sweep import Cell, Sweep, cells_of, shared_stages

AT_ONCE = 2
PLAIN = """
import sys
from pathlib import Path
from ray import tune
import ray
from interlingua.cluster.local import local_context
from interlingua.cluster.tuning import in_process
from interlingua.recipes.registry import recipe_named
from interlingua.store.artifact import build
from interlingua.sweeps.catalog import slots_sweep
from interlingua.sweeps.sweep import cells_of

recipe, num_seeds, steps, root = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
sweep = slots_sweep(
    recipe_named(recipe), slots=(1, 4), affines=("none", "full"), seeds=range(num_seeds),
    num_steps=steps,
)

def train(config):
    cell = cells_of(sweep)[config["cell"]]
    place = in_process(cell.recipe.placement)
    for stage in cell.stages:
        artifact = build(stage, root, local_context(place), place)
    tune.report({"nll": artifact.record.metrics["nll"]})

ray.init(num_cpus=2, include_dashboard=False)
tune.Tuner(
    tune.with_resources(train, {"CPU": 1}),
    param_space={"cell": tune.grid_search(list(range(4 * num_seeds)))},
    run_config=tune.RunConfig(verbose=0, storage_path=str(root / "tune")),
).fit()
"""


def main(arguments: argparse.Namespace) -> None:
    """Print cells an hour and peak memory of the three."""
    num_seeds = arguments.cells // 4
    sweep = slots_sweep(
        recipe_named(arguments.recipe),
        slots=(1, 4),
        affines=("none", "full"),
        seeds=range(num_seeds),
        num_steps=arguments.steps,
    )
    cells = cells_of(sweep)
    say(*machine_lines())
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / "begun"
        begun.mkdir()
        build_shared(sweep.base, shared_stages(cells), begun)
        rows = {}
        for name, run in (
            ("ours", ours),
            ("ours, one at a time", one_at_a_time),
            ("separate processes", separate),
            ("plain Tune", plain),
        ):
            root = Path(folder) / name.replace(" ", "-")
            shutil.copytree(begun, root, copy_function=os.link)
            started = time.monotonic()
            with peak_memory() as peak:
                run(sweep, cells, root, arguments)
            seconds = time.monotonic() - started
            rows[name] = seconds, peak[0], scores(cells, root)
    first = rows["ours"]
    say("", "| variant | cells an hour | ratio | peak MiB |", "|---|---|---|---|")
    for name, (seconds, peak_bytes, found) in rows.items():
        assert found == first[2], f"{name} came out otherwise"
        say(
            f"| {name} | {3600 * len(cells) / seconds:.0f} | {seconds / first[0]:.1f} | "
            f"{peak_bytes / 2**20:.0f} |"
        )


def ours(sweep: Sweep, cells: tuple[Cell, ...], root: Path, arguments: argparse.Namespace) -> None:
    """One command."""
    _wait([_start(arguments, root, seeds=str(len(sweep.seeds)))])


def one_at_a_time(
    sweep: Sweep, cells: tuple[Cell, ...], root: Path, arguments: argparse.Namespace
) -> None:
    """The same command on one core: how much memory the second trial costs."""
    seeds = str(len(sweep.seeds))
    _wait([_start(arguments, root, seeds=seeds, before=("taskset", "-c", "0"))])


def separate(
    sweep: Sweep, cells: tuple[Cell, ...], root: Path, arguments: argparse.Namespace
) -> None:
    """A command a cell, two side by side."""
    waiting = list(cells)
    running: list[subprocess.Popen] = []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            cell = waiting.pop(0)
            slots, affine = cell.values["slots"].removeprefix("slots"), cell.values["affine"]
            seeds = f"{cell.seed},"
            running.append(_start(arguments, root, seeds=seeds, slots=slots, affine=affine))
        time.sleep(0.1)
        running = [process for process in running if process.poll() is None]


def plain(sweep: Sweep, cells: tuple[Cell, ...], root: Path, arguments: argparse.Namespace) -> None:
    """A script around Tune."""
    command = [sys.executable, "-c", PLAIN, arguments.recipe, str(len(sweep.seeds))]
    _wait([subprocess.Popen([*command, str(arguments.steps), str(root)], **QUIET)])


QUIET: dict = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _start(
    arguments: argparse.Namespace,
    root: Path,
    *,
    seeds: str,
    slots: str = "1,4",
    affine: str = "none,full",
    before: tuple[str, ...] = (),
) -> subprocess.Popen:
    command = [
        *before, sys.executable, "-m", "tuners.slots", arguments.recipe, "--slots", slots,
        "--affine", affine, "--seeds", seeds, "--steps", str(arguments.steps), "--root", str(root),
    ]  # fmt: skip
    return subprocess.Popen(command, **QUIET)


def _wait(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        assert process.wait() == 0, process.args


def scores(cells: tuple[Cell, ...], root: Path) -> list[float]:
    """The NLL of every cell."""
    found = []
    for cell in cells:
        artifact = find(cell.stage, root)
        assert artifact is not None, f"{cell.name} is missing in {root}"
        found.append(artifact.record.metrics["nll"])
    return found


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The largest sum of proportional set sizes of this process's descendants in the block."""
    peak, is_over = [0], threading.Event()
    thread = threading.Thread(target=_watch, args=(peak, is_over.is_set), daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def _watch(peak: list[int], is_over: Callable[[], bool]) -> None:
    while not is_over():
        total = 0
        for process in psutil.Process().children(recursive=True):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total)
        time.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="world_mini")
    parser.add_argument("--cells", type=int, default=8, help="a multiple of 4")
    parser.add_argument("--steps", type=int, default=60)
    main(parser.parse_args())
