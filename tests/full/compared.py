"""Two evaluations on the same rows: `python -m tests.full.compared EVALUATION OTHER`.

Prints what the first has, and what it has more than the other: n, and 95% intervals over passages.
"""

import sys
from pathlib import Path

from interlingua.report.from_rows import numbers_of, read_recorded
from interlingua.report.numbers import LESS, START, Numbers

METRICS = ("fve_centred_own", "nll_per_token")
PREDICTORS = ("sampled", "greedy")


def compared(one: Path, other: Path) -> Numbers:
    """The numbers of one evaluation, with paired differences to the other's."""
    return numbers_of(read_recorded(one), seed=0, start=read_recorded(other))


def main(one: Path, other: Path) -> None:
    """Print a line for every host, predictor and metric."""
    numbers = compared(one, other)
    wanted = {name for p in PREDICTORS for name in (p, f"{p}{LESS}{START}")}
    for n in numbers.all:
        if n.metric in METRICS and n.predictor in wanted and n.covers == numbers.units:
            limits = f"[{n.low:+.4f}, {n.high:+.4f}] n={n.num_units}"
            print(f"{n.host:18} {n.predictor:16} {n.metric:16} {n.value:+.4f} {limits}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
