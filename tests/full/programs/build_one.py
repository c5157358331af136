"""Builds one stage of the whole recipe, and stops at its first report until it is woken.

argv: run root, kind/label, a folder of marks. Says the name of the error that ended it.
"""

import sys
import time
from pathlib import Path

from tests.full.whole import context, whole_mini

from interlingua.stages.graph.order import graph_of
from interlingua.store import lock, progress
from interlingua.store.artifact import build

ROOT, NAME, MARKS = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
append = progress.MetricsLog.append


def paused(self, step, **values):
    """Report; the first time, be frozen in the middle of the work."""
    append(self, step, **values)
    if not (MARKS / "paused").exists():
        (MARKS / "paused").touch()
        while not (MARKS / "woken").exists():
            time.sleep(0.02)


def main():
    lock.HEARTBEAT_SECONDS = 0.2
    progress.MetricsLog.append = paused
    (stage,) = (stage for stage in graph_of(whole_mini()) if stage.name == NAME)
    try:
        build(stage, ROOT, context())
    except Exception as error:
        print(type(error).__name__, flush=True)
    else:
        print("built", flush=True)


if __name__ == "__main__":
    main()
