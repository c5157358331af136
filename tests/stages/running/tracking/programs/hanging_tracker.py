"""A driver whose tracker never answers; it says `ended` when it is through."""

import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from interlingua.stages.running import tracked
from interlingua.store.artifact import Stage
from interlingua.tracking.runs import MemoryTracker, Uploader


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
with tracked.TrackingWatcher(Silent(), Uploader(Hanging(), "e"), Path(sys.argv[1])) as watcher:
    watcher.on_tick([stage])
print("ended")
