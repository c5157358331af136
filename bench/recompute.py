"""All numbers of an evaluation from its rows, beside one number after the other, draw by draw.

    python -m bench.recompute runs/evaluation/demo-rl-... [--copies 2]

`--copies` makes a larger one: as many hosts of other names, each with as many times the passages.
The naive way resamples rows for one FVE of one host; its time is multiplied by the number of
intervals, and so leaves out that most metrics take longer. One thread.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.rounds import machine_lines, say
from interlingua.core.resampling import NUM_DRAWS
from interlingua.report.from_rows import START_FOLDER, Recorded, numbers_of, read_recorded
from interlingua.store.rows.likelihood import Likelihood
from interlingua.store.rows.scored import Scored

IDS = ("passage_id", "document_id")


def main() -> None:
    """Time reading, all numbers, and the naive way to one of them."""
    options = _options()
    with threadpool_limits(1):
        own, read_s = _timed(lambda: read_recorded(options.folder))
        has_start = (options.folder / START_FOLDER).is_dir()
        start = read_recorded(options.folder / START_FOLDER) if has_start else None
        own, start = (_larger(one, options.copies) for one in (own, start))
        numbers, made_s = _timed(lambda: numbers_of(own, seed=0, start=start))
        _, naive_s = _timed(lambda: _naive_interval(own.rows))
    num_intervals = sum(number.covers != "hosts" for number in numbers.all)
    say(
        f"{len(own.rows):,} rows, {len(own.rows.hosts())} hosts, {len(numbers.all):,} numbers",
        f"read {read_s:.2f} s CPU, all numbers {made_s:.2f} s CPU",
        f"naive: {naive_s:.2f} s CPU for one interval, {naive_s * num_intervals:,.0f} s for all",
        *machine_lines(),
    )


def _naive_interval(rows: Scored) -> np.ndarray:
    """The interval of one FVE of one host, its rows put together anew in every draw."""
    of_host = rows.of(next(iter(rows.hosts())), "sampled")
    documents_N, rng = of_host.documents(), np.random.default_rng(0)
    rows_of = [np.flatnonzero(documents_N == one) for one in np.unique(documents_N)]
    found = []
    for _ in range(NUM_DRAWS):
        taken = np.concatenate([rows_of[n] for n in rng.integers(len(rows_of), size=len(rows_of))])
        found.append(1 - of_host["nmse"][taken].sum() / of_host["own_variance"][taken].sum())
    return np.quantile(found, [0.025, 0.975])


def _larger(recorded: Recorded | None, copies: int) -> Any:
    if recorded is None or copies == 1:
        return recorded
    likelihood = recorded.likelihood
    return Recorded(
        rows=Scored(_copied(recorded.rows.columns, copies)),
        likelihood=likelihood and Likelihood(_copied(likelihood.columns, copies)),
    )


def _copied(columns: Any, copies: int) -> dict[str, np.ndarray]:
    found = {name: np.concatenate([column] * copies**2) for name, column in columns.items()}
    turn_N = np.repeat(np.arange(copies**2), len(columns["host"]))
    for name in ("host", *IDS):
        number_N = turn_N // copies if name == "host" else turn_N % copies
        pairs = zip(columns[name].tolist() * copies**2, number_N.tolist(), strict=True)
        found[name] = np.array([f"{one}_{number}" for one, number in pairs], dtype=object)
    return found


def _timed(make: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    return make(), time.process_time() - began


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--copies", type=int, default=1)
    return options.parse_args()


if __name__ == "__main__":
    main()
