"""Lines of a script that measures: in turn, within a budget, printed as they come.

Knows no workload. A line that fails stops no other; one whose turn does not fit in what is left of
the budget is not begun. Nothing is interrupted: a line may take longer than what it reserved.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Generic, TypeVar

from bench.rounds import say

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What was measured, a value a round; `at_most` is the bound of a number that has one."""

    name: str
    unit: str
    rounds: tuple[float, ...]
    at_most: float | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong with it; None where every round is finite and within the bound."""
        if not all(map(math.isfinite, self.rounds)):
            return f"{self.name} is not finite"
        if self.at_most is not None and max(self.rounds) > self.at_most:
            return f"{self.name} is {max(self.rounds):.3g}, above {self.at_most:g}"
        return None

    def text(self) -> str:
        """The median of its rounds, their least and greatest, and the bound."""
        unit = f" {self.unit}" if self.unit else ""
        spread = f" ({min(self.rounds):.4g}-{max(self.rounds):.4g})" if len(self.rounds) > 1 else ""
        bound = "" if self.at_most is None else f", at most {self.at_most:g}"
        return f"{self.name}: {median(self.rounds):.4g}{spread}{unit}{bound}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Generic[S]):
    """One thing to measure; its turn begins only where `reserved_s` are left of the budget."""

    name: str
    reserved_s: float
    measure: Callable[[S], Iterator[Number]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a line; `problem` None: all of it was measured, within its bounds."""

    name: str
    seconds: float
    numbers: tuple[Number, ...]
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        """With the median of every number."""
        numbers = [{**asdict(n), "median": median(n.rounds)} for n in self.numbers]
        return {**asdict(self), "numbers": numbers}


def run_lines(lines: Sequence[Line[S]], sizes: S, *, budget_s: float) -> Iterator[Outcome]:
    """Every line in turn; the budget begins with the first."""
    end_s = time.monotonic() + budget_s
    for line in lines:
        left_s = end_s - time.monotonic()
        if left_s < line.reserved_s:
            problem = f"not run: it reserves {line.reserved_s:.0f} s and {left_s:.0f} s are left"
            say(f"{line.name}: {problem}")
            yield Outcome(name=line.name, seconds=0.0, numbers=(), problem=problem)
        else:
            yield _outcome(line, sizes)


def _outcome(line: Line[S], sizes: S) -> Outcome:
    say(line.name)
    start_s, numbers, problem = time.monotonic(), list[Number](), None
    try:
        for number in line.measure(sizes):
            numbers.append(number)
            say(f"  {number.text()}")
            problem = problem or number.problem
    except Exception as error:  # counted: the exit code says that a line has a problem
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
    if problem is None and not numbers:
        problem = "it measured nothing"
    seconds = time.monotonic() - start_s
    say(f"  {f'FAILED: {problem}' if problem else 'done'}, {seconds:.1f} s")
    return Outcome(name=line.name, seconds=seconds, numbers=tuple(numbers), problem=problem)
