"""Intervals of 1 and of 72 metrics by 10,000 resamples, against scipy.stats.bootstrap.

    python -m bench.statistics [--rounds 5] [--resamples 10000] [--passages 1000 200]

A metric is a ratio of sums over 1,000 rows, as every FVE is; rows of a passage are drawn together.
scipy is given the sums of passages at once. One thread. The variants' intervals must agree within
the noise of their own draws before anything is timed. The last variant has less to do: means,
without denominators.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from bench.rounds import interleaved, machine_lines, ratio_table, say
from interlingua.core.resampling import Draws, Ratio
from interlingua.core.statistics import CONFIDENCE, estimate_of

NUM_ROWS = 1000
NUMS_METRICS = (1, 72)
BATCHES = {1: (100, 1000, 10_000), 72: (5, 20, 100)}
TRIAL_RESAMPLES = 500
PARITY = 0.05  # of a width; the ends from 10,000 draws are off by about 0.01 of it
OURS, MEANS_ONLY = "ours", "scipy, one call, means only"

Intervals = np.ndarray  # [2, number of metrics]


@dataclass(frozen=True, slots=True)
class Table:
    above_MN: np.ndarray
    below_MN: np.ndarray
    passages_N: np.ndarray

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """The same per passage; what scipy resamples."""
        starts = np.flatnonzero(np.diff(self.passages_N, prepend=-1))
        above_MP, below_MP = (
            np.add.reduceat(x, starts, axis=1) for x in (self.above_MN, self.below_MN)
        )
        return above_MP, below_MP


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    with threadpool_limits(1):
        for num_passages in options.passages:
            for num_metrics in NUMS_METRICS:
                say(
                    f"\n## {num_metrics} metrics, {options.resamples} resamples, "
                    f"{NUM_ROWS} rows in {num_passages} passages, 1 thread, fp64"
                )
                table = _world(num_metrics, num_passages)
                _bench(table, options.resamples, options.rounds)
    say("", *machine_lines())


def _bench(table: Table, num_resamples: int, num_rounds: int) -> None:
    batch = _fastest_batch(table)
    variants: dict[str, Callable[[], Intervals]] = {
        OURS: partial(_ours, table, num_resamples),
        "scipy, one call": partial(_scipy, table, num_resamples, batch),
    }
    if len(table.above_MN) > 1:
        variants["scipy, a call a metric"] = partial(_scipy_calls, table, num_resamples)
    _require_parity({name: variant() for name, variant in variants.items()})
    variants[MEANS_ONLY] = partial(_scipy_means, table, num_resamples, batch)
    timings = interleaved(variants, num_rounds=num_rounds)
    say(*ratio_table(timings, ours=OURS), "")
    say(f"batch of scipy's one call: {batch}; " + _parts(table, num_resamples))


def _ours(table: Table, num_resamples: int) -> Intervals:
    draws = Draws.of(table.passages_N, seed=0, num_draws=num_resamples)
    pairs = enumerate(zip(table.above_MN, table.below_MN, strict=True))
    ratios = {str(i): Ratio(above_N, below_N, table.passages_N) for i, (above_N, below_N) in pairs}
    estimates = map(estimate_of, draws.ratios(ratios).values())
    return np.array([(estimate.low, estimate.high) for estimate in estimates]).T


def _scipy(table: Table, num_resamples: int, batch: int) -> Intervals:
    return _bootstrap(table.sums(), _ratio_of_sums, num_resamples, batch)


def _scipy_calls(table: Table, num_resamples: int) -> Intervals:
    sums = zip(*table.sums(), strict=True)
    batch = BATCHES[1][1]
    return np.array([_bootstrap(pair, _ratio_of_sums, num_resamples, batch) for pair in sums]).T


def _scipy_means(table: Table, num_resamples: int, batch: int) -> Intervals:
    return _bootstrap(table.sums()[:1], np.mean, num_resamples, batch)


def _bootstrap(
    data: tuple[np.ndarray, ...],
    statistic: Callable[..., np.ndarray],
    num_resamples: int,
    batch: int,
) -> Intervals:
    found = stats.bootstrap(
        data,
        statistic,
        n_resamples=num_resamples,
        batch=batch,
        vectorized=True,
        paired=len(data) > 1,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return np.array([found.confidence_interval.low, found.confidence_interval.high])


def _ratio_of_sums(above: np.ndarray, below: np.ndarray, axis: int) -> np.ndarray:
    return above.sum(axis=axis) / below.sum(axis=axis)


def _fastest_batch(table: Table) -> int:
    def seconds(batch: int) -> float:
        start_s = time.process_time()
        _scipy(table, TRIAL_RESAMPLES, batch)
        return time.process_time() - start_s

    return min(BATCHES[len(table.above_MN)], key=seconds)


def _require_parity(intervals: Mapping[str, Intervals]) -> None:
    ours = intervals[OURS]
    widths_M = ours[1] - ours[0]
    apart = max(np.max(np.abs(variant - ours) / widths_M) for variant in intervals.values())
    if not apart <= PARITY:
        raise SystemExit(f"intervals lie {apart:.3f} of their width apart, nothing was timed")
    say(f"parity: ends of intervals lie at most {apart:.3f} of a width apart between variants", "")


def _parts(table: Table, num_resamples: int) -> str:
    """What of ours is drawing and what is the product, which no rival's gathering can undercut."""
    start_s = time.process_time()
    draws = Draws.of(table.passages_N, seed=0, num_draws=num_resamples)
    drawn_s = time.process_time()
    columns_UX = np.concatenate(table.sums()).T.copy()
    product_s = time.process_time()
    for weights_BU in draws.blocks():
        weights_BU @ columns_UX
    end_s = time.process_time()
    return (
        f"ours draws for {drawn_s - start_s:.3f} CPU s and multiplies for {end_s - product_s:.3f}"
    )


def _world(num_metrics: int, num_passages: int) -> Table:
    rng = np.random.default_rng(0)
    passages_N = np.arange(NUM_ROWS) * num_passages // NUM_ROWS
    shape = (num_metrics, NUM_ROWS)
    below_MN = rng.gamma(4, 0.25, size=shape)
    of_passage_MP = rng.normal(size=(num_metrics, num_passages))
    above_MN = 0.4 * below_MN + 0.2 * of_passage_MP[:, passages_N] + 0.2 * rng.normal(size=shape)
    return Table(above_MN, below_MN, passages_N)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--passages", type=int, nargs="+", default=[1000, 200])
    return parser.parse_args()


if __name__ == "__main__":
    main()
