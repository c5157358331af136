"""Stages that count, and trackers of several tempers."""

import threading
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from interlingua.recipes.world import world_mini
from interlingua.stages.running.recipe_runs import RecipeRun
from interlingua.store.artifact import Stage
from interlingua.store.progress import PROGRESS_NAME, MetricsLog
from interlingua.tracking.tracker import MemoryTracker

CHECKPOINT = 20


class Breaking(NamedTuple):
    """A context that says at which step to break off."""

    break_at: int | None = None
    placement: None = None


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@dataclass(frozen=True, kw_only=True)
class CountSpec:
    """Counts to `num_steps` in tens."""

    seed: int
    num_steps: int
    host_tag: str = "toy-gpt2-medium"


def count(spec, inputs, out, context):
    """Reports every ten steps."""
    first = CHECKPOINT if (out / PROGRESS_NAME).exists() else 0
    log = MetricsLog(out, resume_step=first)
    for step in range(first + 10, spec.num_steps + 1, 10):
        if step == context.break_at:
            raise Interrupted
        log.append(step, loss=1 / step, num_steps=spec.num_steps)
    return {"last": spec.num_steps}


def judge(spec, inputs, out, context):
    """An evaluation that did not pass two of its gates."""
    return {"fve_centred": 0.5, "failed_gates": ["collapse", "leakage"]}


def interrupted(spec, inputs, out, context):
    """Ctrl-C, while a stage runs."""
    raise KeyboardInterrupt


def stage(label="one", run=count, num_steps=40):
    spec = CountSpec(seed=7, num_steps=num_steps)
    return Stage(kind="counted", label=label, spec=spec, run=run, inputs={}, revision=0)


def recipe_run_of(*stages):
    """These stages as a run of a recipe that is called `counts`."""
    return RecipeRun(replace(world_mini(), name="counts"), stages)


class Silent:
    """Shows nothing, and remembers what it was told."""

    def __init__(self):
        self.done = []

    def on_preflight(self, lines):
        pass

    def on_done(self, stage, artifact):
        self.done.append(stage.name)

    def on_tick(self, running):
        pass


class Counting(MemoryTracker):
    """Counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.num_uploads = 0

    def upload(self, experiment, runs):
        self.num_uploads += 1
        super().upload(experiment, runs)


class Refusing(MemoryTracker):
    """Raises whatever it is asked."""

    def upload(self, experiment, runs):
        raise ConnectionError("nobody there")


class Hanging(MemoryTracker):
    """Answers when the test is over."""

    def __init__(self):
        super().__init__()
        self.is_over = threading.Event()

    def upload(self, experiment, runs):
        self.is_over.wait()


def held(tracker, label="one"):
    """The run of the stage of that label; there is one."""
    (run,) = (run for run in tracker.runs.values() if run.tags.get("label") == label)
    return run


def is_held(tracker, step, label="one"):
    """True once the stage's run is there and has been reported up to this step."""
    runs = [run for run in list(tracker.runs.values()) if run.tags.get("label") == label]
    return bool(runs) and reported(runs[0])[-1][0] == step


def reported(run):
    return [(v.step, v.value) for v in run.values if v.name == "progress/loss"]


def the_recipe(tracker):
    """The run that the stages are nested in; there is one."""
    (run,) = (run for run in tracker.runs.values() if run.parent is None)
    return run


def wait_until(is_true):
    deadline = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
