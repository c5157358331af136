"""Numbers with their doubt, their names, and the table that holds them. Knows no rows."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.specs.evaluation import Predictor
from interlingua.store.atomic import write_atomically

NUMBERS_NAME = "numbers.csv"
PASSAGES, DOCUMENTS, HOSTS = "passages", "documents", "hosts"
TRAINED, HELD_OUT, ALL, GAP = "mean trained", "mean held out", "mean all", "trained - held out"
LESS = " - "
START = "start"  # the same predictor of the evaluation that this one is compared with
AT_START = f" at {START}"
LEARNED = (Predictor.SAMPLED, Predictor.GREEDY)  # which are compared with their start
NLL = "nll_per_token"  # of the teacher's explanations under the AV
# What differences are taken of.
COMPARED = ("fve_centred_own", "fve_linear_own", NLL)
ROUNDING = 1e-9  # relative: another number of threads sums in another order


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of one host, or of a group of them, with a 95% interval and what that covers.

    `predictor` is one of `Predictor`, or `one - other`: a paired difference on the same rows.
    """

    host: str
    predictor: str
    metric: str
    value: float
    low: float
    high: float
    num_units: int
    covers: str

    @property
    def name(self) -> str:
        """Its name in a record."""
        return f"{self.host}/{self.predictor}/{self.metric}"


class Numbers:
    """The numbers of an evaluation, by host, predictor and metric."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        self.all = tuple(numbers)
        # What rows depend through: whole documents, or passages where those are the same.
        is_of_documents = any(number.covers == DOCUMENTS for number in numbers)
        self.units = DOCUMENTS if is_of_documents else PASSAGES
        self._by_name = {(n.host, n.predictor, n.metric, n.covers): n for n in numbers}

    def get(
        self, host: str, predictor: str, metric: str, covers: str | None = None
    ) -> Number | None:
        """One number, None where there is none; its interval is over `units` unless said."""
        return self._by_name.get((host, predictor, metric, covers or self.units))

    def __getitem__(self, name: tuple[str, str, str]) -> Number:
        return self._by_name[*name, self.units]

    def differing(self, other: "Numbers") -> list[str]:
        """The names of numbers that only one has, or that differ by more than rounding."""
        pairs = self.differences(other)
        return sorted({(mine or theirs).name for mine, theirs in pairs})  # type: ignore[union-attr]

    def differences(self, other: "Numbers") -> list[tuple["Number | None", "Number | None"]]:
        """The numbers of both that differ, pair by pair; None where one has no such number."""
        keys = dict.fromkeys([*self._by_name, *other._by_name])
        pairs = ((self._by_name.get(key), other._by_name.get(key)) for key in keys)
        return [(mine, theirs) for mine, theirs in pairs if not _is_same(mine, theirs)]

    def largest_difference(self, other: "Numbers") -> tuple[int, float]:
        """How many numbers both have, and how far the values of one are apart at the most."""
        common = sorted(self._by_name.keys() & other._by_name.keys())
        mine_N, theirs_N = (
            np.array([numbers._by_name[key].value for key in common]) for numbers in (self, other)
        )
        # Where both are undefined they do not differ; where one is, by more than any number.
        apart_N = np.where(np.isnan(mine_N) & np.isnan(theirs_N), 0, np.abs(mine_N - theirs_N))
        return len(common), float(np.nan_to_num(apart_N, nan=np.inf).max(initial=0))


def write_numbers(path: Path, numbers: Numbers) -> None:
    """Store the numbers as a tidy table, one a line."""
    names = [field.name for field in fields(Number)]
    with write_atomically(path) as file:
        lines = [",".join(names), *(_line(number, names) for number in numbers.all)]
        file.write(("\n".join(lines) + "\n").encode())


def read_numbers(path: Path) -> Numbers:
    """The numbers of a tidy table; an error that names the line where it is none."""
    numbers = []
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                numbers.append(_parsed(row))
    except (ValueError, KeyError, csv.Error) as error:
        raise ValueError(
            f"{path}, line {len(numbers) + 2}, is not as it was written ({error}); copy the file "
            f"again, or delete the folder {path.parent} and run again"
        ) from error
    return Numbers(numbers)


def _parsed(row: Mapping[Any, Any]) -> Number:
    # What csv makes of a line with more or fewer fields than the first.
    if None in row or None in row.values():
        raise ValueError("another number of fields than the header has")
    return Number(
        host=row["host"],
        predictor=row["predictor"],
        metric=row["metric"],
        value=float(row["value"]),
        low=float(row["low"]),
        high=float(row["high"]),
        num_units=int(row["num_units"]),
        covers=row["covers"],
    )


def _line(number: Number, names: Sequence[str]) -> str:
    # str of a float is the shortest text that reads back as the same float.
    values = asdict(number)
    if any("," in str(values[name]) for name in names):
        raise ValueError(f"{number.name} has a comma in its name")
    return ",".join(str(values[name]) for name in names)


def _is_same(left: Number | None, right: Number | None) -> bool:
    if left == right:
        return True
    if left is None or right is None or left.num_units != right.num_units:
        return False
    ours, theirs = ((one.value, one.low, one.high) for one in (left, right))
    return np.allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
