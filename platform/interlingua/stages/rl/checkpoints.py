"""What a run of reinforcement learning keeps: joint checkpoints, looks, the best weights, counts.

A checkpoint is one folder of both models and the cursor, committed by a rename: either role alone
would be ahead of the other. Knows neither a reward nor where the roles are.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from interlingua.specs.rl import RlWatch
from interlingua.stages.rl.dev_eval import Columns, DevEval, failed_gate
from interlingua.stages.rl.roles import Roles
from interlingua.stages.sft.best_weights import (
    ABOUT_A_DEV_EVAL,
    best_dev_eval,
    forget_best,
    is_better,
    keep_best,
)
from interlingua.stages.sft.loop import CHECKPOINTS
from interlingua.store.atomic import write_atomically
from interlingua.store.progress import DEV_EVALS_NAME, MetricsLog, read_dev_evals

START_ROWS_NAME = "start_rows.parquet"
STATE_NAME = "state.json"
AV_FOLDER, AR_FOLDER = "av", "ar"


class RunCheckpoints:
    """The stage's folder; every rank calls every method, rank 0 writes."""

    def __init__(self, roles: Roles, watch: RlWatch, out: Path) -> None:
        self._roles, self._watch, self._out = roles, watch, out
        self._folder = out / CHECKPOINTS
        self._dev_evals: list[dict[str, float]] = []
        self._log: MetricsLog | None = None
        self.counts: Counter[str] = Counter()

    def resume(self) -> int:
        """Put both models where the last whole checkpoint stands; its step, or 0."""
        done = [int(path.name) for path in self._folder.glob("[0-9]*") if path.name.isdigit()]
        # All ranks must agree, also where one sees the shared disk a moment later.
        step: int = min(self._roles.av.gathered(max(done, default=0)))
        if step:
            folder = self._folder / str(step)
            self._roles.av.load(folder / AV_FOLDER)
            self._roles.ar.load(folder / AR_FOLDER)
            state = json.loads((folder / STATE_NAME).read_bytes())
            self.counts = Counter(self._roles.av.gathered(state["counts"])[0])
        dev_evals: list[dict[str, float]] = self._roles.av.gathered(read_dev_evals(self._out))[0]
        self._dev_evals = [dev_eval for dev_eval in dev_evals if dev_eval["step"] < step]
        if self._roles.av.rank == 0:
            self._log = MetricsLog(self._out, resume_step=step)
        return step

    def checkpoint(self, step: int) -> None:
        """Everything that is needed to go on from this step; older ones go."""
        target = self._folder / str(step)
        partial = self._folder / f"{step}.partial"
        if target.exists():
            return
        # Not their parents: who lost the lock has none.
        for folder in (self._folder, partial, partial / AV_FOLDER, partial / AR_FOLDER):
            folder.mkdir(exist_ok=True)
        self._roles.av.save(partial / AV_FOLDER)
        self._roles.ar.save(partial / AR_FOLDER)
        self._roles.av.gathered(None)  # every rank has written
        if self._roles.av.rank == 0:
            with write_atomically(partial / STATE_NAME) as file:
                file.write(json.dumps({"step": step, "counts": self.counts}).encode())
            partial.rename(target)
            for path in self._folder.iterdir():
                if path != target:
                    shutil.rmtree(path)
            # To go on from here is to look at this step again, and to know those before it.
            before = [dev_eval for dev_eval in self._dev_evals if dev_eval["step"] < step]
            steps = {
                best_dev_eval(dev_evals)["step"]
                for dev_evals in (before, self._dev_evals)
                if dev_evals
            }
            forget_best(self._out, but=map(int, steps))
        self._roles.av.gathered(None)

    def add(self, step: int, dev_eval: DevEval) -> str | None:
        """Keep the weights where they are the best so far; the gate that they do not pass."""
        start = self._dev_evals[0] if self._dev_evals else dev_eval.numbers
        gate = failed_gate(dev_eval.numbers, start, self._watch)
        score = dev_eval.numbers["score"]
        min_delta = self._watch.min_delta
        is_best = gate is None and is_better(score, self._dev_evals, min_delta=min_delta)
        self._dev_evals.append({"step": step, "is_best": is_best, **dev_eval.numbers})
        weights = {**self._roles.av.weights(), **self._roles.ar.weights()} if is_best else {}
        if self._roles.av.rank == 0:
            if step == 0:
                _write_rows(self._out / START_ROWS_NAME, dev_eval.columns)
            if is_best:
                keep_best(self._out, step, weights, pa.table(dev_eval.columns))
            with write_atomically(self._out / DEV_EVALS_NAME) as file:
                file.write("".join(json.dumps(line) + "\n" for line in self._dev_evals).encode())
        return gate

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """One line of the stage's metrics, with the last look beside it."""
        last = {f"dev_{name}": value for name, value in numbers_of(self._dev_evals[-1]).items()}
        if self._log is not None:
            self._log.append(step, **metrics, **last)


def numbers_of(dev_eval: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a look alone."""
    return {name: value for name, value in dev_eval.items() if name not in ABOUT_A_DEV_EVAL}


def _write_rows(path: Path, columns: Columns) -> None:
    with write_atomically(path) as file:
        pq.write_table(pa.table(columns), file)
