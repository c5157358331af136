"""Trains the AV of world_mini on Ray until it is frozen, and goes on when it is woken.

argv: run root, a folder of marks. Says the name of the error that ended it.
"""

import sys
import time
from pathlib import Path

from interlingua.cluster.extraction import RayPool
from interlingua.cluster.local import local_context
from interlingua.cluster.session import ray_session
from interlingua.cluster.training import RayTrainer
from interlingua.recipes.world import world_mini
from interlingua.stages.graph.order import graph_of
from interlingua.stages.sft.av import AvProgram
from interlingua.store import lock
from interlingua.store.artifact import build

ROOT, MARKS = map(Path, sys.argv[1:])
PAUSED_AT = 5  # behind the checkpoint of step 4, before the look of step 6


class Paused(AvProgram):
    """Waits in the middle of training."""

    def micro_batches(self, step, share):
        if step == PAUSED_AT:
            (MARKS / "paused").touch()
            while not (MARKS / "woken").exists():
                time.sleep(0.05)
        return super().micro_batches(step, share)


class PausedTrainer(RayTrainer):
    def fit(self, make, job, place):
        super().fit(Paused, job, place)


def main():
    lock.HEARTBEAT_SECONDS = 0.2
    (stage,) = (stage for stage in graph_of(world_mini()) if stage.kind == "av")
    with ray_session():
        try:
            build(stage, ROOT, local_context(world_mini().placement, RayPool(), PausedTrainer()))
        except Exception as error:
            print(type(error).__name__, flush=True)
        else:
            print("built", flush=True)


if __name__ == "__main__":
    main()
