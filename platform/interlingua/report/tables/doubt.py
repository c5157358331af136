"""What is printed of a number's doubt: an interval within what is possible, or how few units.

`numbers.csv` has intervals as they were computed. Knows no table and no file.
"""

from dataclasses import dataclass
from math import exp, inf, isfinite, log, nan

from interlingua.report.numbers import GAP, LESS, Number

LEAST_UNITS = 5  # of which an interval is printed
SHARES = ("share", "precision", "recall", "f1", "said", "retrieval", "unlike", "arithmetic")
FRACTIONS = ("fve",)
COUNTS = ("nll", "num_", "mean_words", "mean_tokens", "facts_said")
DIFFERENCES = ("over", "less", "beyond", "gap")  # in the name of a metric
UNITS = {"record": "", "sweep": "", "fit": ""}  # what an interval covers there is in the caption


@dataclass(frozen=True, slots=True)
class Doubt:
    """What stands behind a printed number: its words, and the ends where an interval is printed."""

    words: str
    low: float = nan
    high: float = nan


def doubt_of(number: Number, *, digits: int) -> Doubt:
    """The interval of a number, or how many units it has where these are too few for one."""
    if not (isfinite(number.low) and isfinite(number.high)):
        return Doubt("")
    if 0 < number.num_units < LEAST_UNITS:
        return Doubt(f"n={number.num_units} {UNITS.get(number.covers, number.covers)}".strip())
    low, high = interval_within(number, range_of(number))
    # z: what rounds to zero is printed without a minus.
    return Doubt(f"[{low:z.{digits}f}, {high:z.{digits}f}]", low, high)


def range_of(number: Number) -> tuple[float, float]:
    """The least and the largest value that this number can have."""
    low, high = _range_of_metric(number.metric)
    words = number.metric.replace("/", "_").split("_")
    is_difference = number.host == GAP or LESS in number.predictor or {*words} & {*DIFFERENCES}
    if not is_difference:
        return low, high
    return (low - high, high - low) if isfinite(low) and isfinite(high) else (-inf, inf)


def _range_of_metric(metric: str) -> tuple[float, float]:
    name = metric.removeprefix("dev/").removeprefix("dev_")
    if any(one in name for one in FRACTIONS):
        return -inf, 1
    if any(one in name for one in SHARES):
        return 0, 1
    if name == "cos" or "similarity" in name:
        return -1, 1
    if name == "nmse":
        return 0, 4
    if name == "perplexity":
        return 1, inf
    return (0, inf) if name.startswith(COUNTS) else (-inf, inf)


def interval_within(number: Number, possible: tuple[float, float]) -> tuple[float, float]:
    """The interval as it is where it lies in the range; else the one on a scale without bounds.

    Resampled passages cannot leave the range, Student's interval of a few hosts can. Cut off at
    the bound it would look as if the bound were certain, so that it is made again from the same
    standard error on the scale of log odds, or of the log of the distance from the one bound.
    """
    least, most = possible
    value, low, high = number.value, number.low, number.high
    if least <= low and high <= most:
        return low, high
    above, below = value - least, most - value
    # At a bound itself there is no spread, and no scale to move on.
    if above <= 0 or below <= 0:
        return value, value
    half = (high - low) / 2
    if not isfinite(least):
        times = exp(half / below)
        return most - below * times, most - below / times
    if not isfinite(most):
        times = exp(half / above)
        return least + above / times, least + above * times
    # The delta method: d log(above / below) = d value * (most - least) / (above * below).
    odds, step = log(above / below), half * (most - least) / (above * below)
    ends = (1 / (1 + exp(-(odds - step))), 1 / (1 + exp(-(odds + step))))
    return least + (most - least) * ends[0], least + (most - least) * ends[1]
