"""A driver whose tracker never answers; it says `ended` when it is through."""

import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from interlingua.recipes.world import world_mini
from interlingua.stages.running import tracked
from interlingua.stages.running.recipe_runs import RecipeRun
from interlingua.stages.running.uploader import Uploader
from interlingua.store.artifact import Stage
from interlingua.tracking.tracker import MemoryTracker


class Hanging(MemoryTracker):
    def upload(self, experiment, runs):
        threading.Event().wait()


class Silent:
    def on_tick(self, running):
        pass


@dataclass(frozen=True)
class Spec:
    seed: int


def run(spec, inputs, out, context):
    return {}


stage = Stage(kind="counted", label="one", spec=Spec(0), run=run, inputs={}, revision=0)
tracked.PATIENCE_SECONDS = 0.1
uploader = Uploader(Hanging(), RecipeRun(world_mini(), [stage]))
with tracked.TrackingWatcher(Silent(), uploader, Path(sys.argv[1])) as watcher:
    watcher.on_tick([stage])
print("ended")
