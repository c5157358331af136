"""A sweep in MLflow: one run above, one a cell below it, their stages below those.

A thread beside the work uploads; nobody waits for it longer than a minute, and what is missing is
uploaded when the command is run again.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue

from interlingua.report.page.page import PAGE_NAME
from interlingua.stages.running.recipe_runs import RecipeRun, SweepRun
from interlingua.stages.running.stage_runs import FAILED, SUCCEEDED
from interlingua.stages.running.uploader import upload_run, upload_sweep
from interlingua.store.artifact import Artifact
from interlingua.sweeps.analysis import Analysis
from interlingua.sweeps.sweep import Cell, Sweep
from interlingua.sweeps.tables import CELLS_NAME, EFFECTS_NAME, sentences, summary

PATIENCE_SECONDS, STOPPED_PATIENCE_SECONDS = 60.0, 1.5
KILLED = "KILLED"
STATUSES = {"finished": SUCCEEDED, "failed": FAILED, "stopped": KILLED}

logger = logging.getLogger(__name__)


class SweepUploads:
    """Uploads cells as they end, and the sweep above them."""

    def __init__(self, sweep: Sweep, root: Path) -> None:
        self._sweep, self._root = sweep, root
        self._uploads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, no executor: Python must be able to end although a tracker hangs.
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")

    def __enter__(self) -> "SweepUploads":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._uploads.put(None)
        is_stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._thread.join(STOPPED_PATIENCE_SECONDS if is_stopped else PATIENCE_SECONDS)
        if self._thread.is_alive():
            logger.warning(
                "not all results are tracked; nothing is lost: run the same command again to "
                "upload the rest"
            )

    def begin(self, num_cells: int) -> None:
        """Show the sweep before its first cell."""
        params = sweep_params(self._sweep, num_cells)
        run = SweepRun(name=self._sweep.name, params=params, description="running")
        self._uploads.put(lambda: upload_sweep(self._root, run, status="RUNNING"))

    def add(self, cell: Cell, state: str) -> None:
        """Upload one cell as it lies in the root."""
        run = RecipeRun(
            cell.recipe,
            cell.stages,
            params={**cell.values, "seed": str(cell.seed)},
            sweep=self._sweep.name,
            name=cell.name,
        )
        self._uploads.put(lambda: upload_run(self._root, run, status=STATUSES[state]))

    def end(self, num_cells: int, result: Artifact, analysis: Analysis) -> None:
        """Upload what came out of all of them."""
        run = SweepRun(
            name=self._sweep.name,
            params=sweep_params(self._sweep, num_cells),
            metrics=sweep_metrics(analysis),
            artifacts={name: result.path / name for name in (PAGE_NAME, CELLS_NAME, EFFECTS_NAME)},
            description="\n\n".join([summary(analysis), *sentences(analysis)]),
        )
        self._uploads.put(lambda: upload_sweep(self._root, run))

    def _work(self) -> None:
        while (upload := self._uploads.get()) is not None:
            try:
                upload()
            except Exception as error:  # whatever it is: no cell may end by it
                logger.warning("a run is not tracked: %s: %s", type(error).__name__, error)


def sweep_params(sweep: Sweep, num_cells: int) -> dict[str, str]:
    """What a sweep is about."""
    return {
        "recipe": sweep.base.name,
        "seeds": ", ".join(map(str, sweep.seeds)),
        "cells": str(num_cells),
        **{axis.name: ", ".join(axis.values) for axis in sweep.axes},
    }


def sweep_metrics(analysis: Analysis) -> Mapping[str, float]:
    """The effects by score and contrast, with their adjusted p."""
    found = {}
    for score, of_score in analysis.effects.items():
        for effect in of_score:
            found[f"{score}/{effect.name}"] = effect.value
            if effect.adjusted_p is not None:
                found[f"{score}/{effect.name} p"] = effect.adjusted_p
    return found
