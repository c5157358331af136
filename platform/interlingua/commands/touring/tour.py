"""The platform in one command, on a Ray cluster of this machine: `interlingua tour`.

A recipe is submitted as a job, with reinforcement learning in three placement groups; a sweep of
four cells by Ray Tune; its bundle is served and evaluated through its URL; MLflow has all of it. A
table says what came of each. What is finished is found again, also by `make demo`; where a step
fails the exit code is 1.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from interlingua.commands.command_line import parser, prepared_root, resolved
from interlingua.commands.touring.tour_results import (
    SWEEP,
    cluster_result,
    mlflow_result,
    served_result,
    sweep_result,
    tour_table,
    trained_result,
)
from interlingua.specs.recipe import Recipe
from interlingua.stages.graph.order import graph_of
from interlingua.store.artifact import find

FOLDER = "tour"  # of a root: what the commands print
RUNTIME_ENV = Path("jobs/runtime_env.yaml")
SWEEP_ARGUMENTS = (  # short: two settings, two seeds, and no reinforcement
    "--set", "rl=", "--set", "av.num_steps=200", "--axis", "av.injection.num_slots=1,4",
    "--seeds", "2", "--name", SWEEP,
)  # fmt: skip
SERVE_SECONDS, POLL_SECONDS = 180.0, 0.5
SHOWN_LINES = 20  # of the output of a step that failed
NAMES = ("cluster", "train, reinforce, evaluate", "sweep", "serve", "evaluate by URL", "MLflow")


class TourFailed(RuntimeError):
    """A step failed; those behind it were not run."""


class Done(NamedTuple):
    """A step that was run: its seconds, and what came of it."""

    seconds: float
    result: str


def main(arguments: argparse.Namespace) -> None:
    """Run every step, and print the table, as far as it came."""
    recipe = resolved(arguments)
    if not RUNTIME_ENV.is_file():
        raise ValueError(f"{RUNTIME_ENV} is not here; run it from the root of the repository")
    root = prepared_root(arguments.root)
    tour = Tour(recipe, arguments, root, Console())
    try:
        tour.run()
    finally:
        tour.console.print(tour_table(NAMES, tour.done))
        tour.console.print(f"what the commands printed: {tour.logs}", soft_wrap=True)


def tour_parser() -> argparse.ArgumentParser:
    """The shared arguments; the recipe is `demo` where none is named."""
    return parser("jobs.tour", __doc__ or "", recipe="demo")


class Tour:
    """The steps of a tour, and what came of them."""

    def __init__(
        self, recipe: Recipe, arguments: argparse.Namespace, root: Path, console: Console
    ) -> None:
        self._recipe, self._root, self.console = recipe, root, console
        sets = [word for one in arguments.overrides for word in ("--set", one)]
        self._of_recipe = [arguments.recipe, *sets, "--root", str(root)]
        self.logs, self.done = root / FOLDER, list[Done]()
        self.logs.mkdir(exist_ok=True)

    def run(self) -> None:
        """All of them, one after the other."""
        from interlingua.cluster.head import ray_head
        from interlingua.cluster.session import LOGICAL_CPUS_PER_CORE

        begun = self._begin()
        cores = len(os.sched_getaffinity(0))
        # Twice what a cluster of its own would have: a server and those who ask it share the cores.
        # Before there is a server no more stages are begun than there are cores.
        with ray_head(num_cpus=2 * LOGICAL_CPUS_PER_CORE * cores) as head:
            self._note(begun, cluster_result(head.address))
            submit = [
                _beside("ray"), "job", "submit", "--address", head.jobs_url, "--working-dir", ".",
                "--runtime-env", str(RUNTIME_ENV), "--", "python", "-m",
            ]  # fmt: skip
            environment = os.environ | head.environment
            recipe, root = self._recipe, self._root
            at_once = f"placement.stages_side_by_side={cores}"
            train = ["jobs.run", *self._of_recipe, "--set", at_once]
            begun = self._run([*submit, *train], environment)
            self._note(begun, trained_result(recipe, root))
            begun = self._run(
                [*submit, "tuners.sweep", *self._of_recipe, *SWEEP_ARGUMENTS], environment
            )
            self._note(begun, sweep_result(root))
            address = {"RAY_ADDRESS": head.address}
            with self._served(environment | address) as url:
                asked = ["jobs.evaluate", *self._of_recipe, "--endpoint", url]
                begun = self._run([*submit, *asked], environment)
                self._note(begun, served_result(recipe, root))
        begun = self._begin()
        self._note(begun, mlflow_result(recipe, root))

    @contextmanager
    def _served(self, environment: Mapping[str, str]) -> Iterator[str]:
        """The URL of the recipe's last bundle, served on the cluster while the block runs."""
        from interlingua.cluster.head import free_ports
        from interlingua.serving.client.endpoint import Endpoint
        from interlingua.serving.client.errors import EndpointError

        *_, stage = (stage for stage in graph_of(self._recipe) if stage.kind == "bundle")
        bundle, (port,) = find(stage, self._root), free_ports(1)
        assert bundle is not None
        command = [sys.executable, "-m", "serve.app", f"tour={bundle.path}", "--port", str(port)]
        begun, log = self._begin(command), self._log()
        url = f"http://127.0.0.1:{port}"
        with (
            log.open("wb") as file,
            subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process,
        ):
            try:
                while True:
                    if process.poll() is not None or time.monotonic() - begun > SERVE_SECONDS:
                        raise self._failed(command, log)
                    try:
                        with Endpoint(url, patience_s=0) as endpoint:
                            hosts = ", ".join(endpoint.hosts)
                        break
                    except EndpointError:
                        time.sleep(POLL_SECONDS)
                self._note(begun, f"{hosts} at {url}")
                yield url
            finally:
                process.terminate()

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> float:
        """Run a command to its end; returns when it began."""
        begun, log = self._begin(command), self._log()
        with (
            self.console.status("") as status,
            log.open("wb") as file,
            subprocess.Popen(command, env=environment, stdout=file, stderr=file) as process,
        ):
            try:
                while process.poll() is None:
                    seconds = time.monotonic() - begun
                    status.update(f"{seconds:.0f} s  {_last_line(log)}")
                    time.sleep(POLL_SECONDS)
            finally:
                process.terminate()
        if process.returncode:
            raise self._failed(command, log)
        return begun

    def _begin(self, command: Sequence[str] = ()) -> float:
        """Say what begins; returns when."""
        name = NAMES[len(self.done)]
        self.console.print(f"{len(self.done) + 1}/{len(NAMES)} {name}", highlight=False)
        if command:
            line = f"  $ {_shown(command)}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        return time.monotonic()

    def _log(self) -> Path:
        """The file for what the next step prints."""
        words = NAMES[len(self.done)].replace(",", "").replace(" ", "-")
        return self.logs / f"{len(self.done) + 1}-{words}.log"

    def _note(self, begun: float, result: str) -> None:
        self.done.append(Done(time.monotonic() - begun, result))
        self.console.print(f"  {result}", markup=False, highlight=False, soft_wrap=True)

    def _failed(self, command: Sequence[str], log: Path) -> TourFailed:
        lines = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        self.console.print(*lines, sep="\n", markup=False, highlight=False, soft_wrap=True)
        return TourFailed(f"{NAMES[len(self.done)]} failed: {_shown(command)} (all of it: {log})")


def _beside(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _shown(command: Sequence[str]) -> str:
    """The command as one would type it."""
    program, *rest = command
    return " ".join([Path(program).name, *(json.dumps(one) if " " in one else one for one in rest)])


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip()[:100] for line in reversed(lines) if line.strip()), "")
