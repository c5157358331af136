"""Numbers with their doubt, made of scored rows alone: any machine recomputes them without a model.

All numbers of an evaluation come from one set of resampled documents, so that every difference is
paired. Knows no stage and no file but the table of numbers.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.core.resampling import NUM_DRAWS, Drawn, Draws, combined, difference
from interlingua.core.statistics import Estimate, estimate_of, gap_of_units, mean_of_units
from interlingua.report.measures import NLL, likelihoods_of, measures_of, similarities_of
from interlingua.specs.evaluation import Predictor
from interlingua.store.atomic import write_atomically
from interlingua.store.rows.likelihood import LIKELIHOOD_NAME, Likelihood, read_likelihood
from interlingua.store.rows.scored import Scored, read_scored

NUMBERS_NAME = "numbers.csv"
PASSAGES, DOCUMENTS, HOSTS = "passages", "documents", "hosts"
TRAINED, HELD_OUT, ALL, GAP = "mean trained", "mean held out", "mean all", "trained - held out"
LESS = " - "
START = "start"  # the same predictor of the evaluation that this one is compared with
AT_START = f" at {START}"
LEARNED = (Predictor.SAMPLED, Predictor.GREEDY)  # which are compared with their start
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
        mine, theirs = self._by_name, other._by_name
        keys = mine.keys() | theirs.keys()
        return sorted({"/".join(k[:3]) for k in keys if not _is_same(mine.get(k), theirs.get(k))})

    def largest_difference(self, other: "Numbers") -> tuple[int, float]:
        """How many numbers both have, and how far the values of one are apart at the most."""
        common = sorted(self._by_name.keys() & other._by_name.keys())
        mine_N, theirs_N = (
            np.array([numbers._by_name[key].value for key in common]) for numbers in (self, other)
        )
        # Where both are undefined they do not differ; where one is, by more than any number.
        apart_N = np.where(np.isnan(mine_N) & np.isnan(theirs_N), 0, np.abs(mine_N - theirs_N))
        return len(common), float(np.nan_to_num(apart_N, nan=np.inf).max(initial=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """All rows that numbers are made of; a served pair has no `likelihood`."""

    rows: Scored
    likelihood: Likelihood | None


def numbers_of(
    recorded: Recorded, *, seed: int, start: Recorded | None = None, num_draws: int = NUM_DRAWS
) -> Numbers:
    """Every number of the rows; with `start`, also how far the same predictors are from theirs."""
    rows = recorded.rows
    documents_N = rows.documents()
    # One set of draws for all hosts, predictors and metrics, also of the start: else no difference
    # is paired.
    draws = Draws.of(documents_N, seed=seed, num_draws=num_draws)
    drawn = _drawn(recorded, draws)
    if start is not None:
        for (host, predictor, metric), one in _drawn(_same_rows(start, rows), draws).items():
            if predictor in LEARNED and (host, predictor, metric) in drawn:
                left = drawn[host, predictor, metric]
                drawn[host, predictor + AT_START, metric] = one
                drawn[host, predictor + LESS + START, metric] = difference(left, one)
    # Behind the start: its predictors have names that no further difference is taken of.
    for key, one in list(_differences(drawn)):
        drawn[key] = one
    num_passages = len(set(rows["passage_id"].tolist()))
    units = PASSAGES if len(draws.units_U) == num_passages else DOCUMENTS
    return Numbers([*_of_hosts(drawn, units), *_of_groups(drawn, rows.hosts(), units)])


def read_recorded(folder: Path) -> Recorded:
    """The rows of an evaluation's folder."""
    has_likelihood = (folder / LIKELIHOOD_NAME).is_file()
    likelihood = read_likelihood(folder) if has_likelihood else None
    return Recorded(rows=read_scored(folder), likelihood=likelihood)


Key = tuple[str, str, str]  # host, predictor, metric


def _drawn(recorded: Recorded, draws: Draws) -> dict[Key, Drawn]:
    rows, likelihood = recorded.rows, recorded.likelihood
    found: dict[Key, Drawn] = {}
    for host in rows.hosts():
        of_host = rows.where(rows["host"] == host)
        for predictor in of_host.predictors():
            for metric, one in measures_of(of_host.of(host, predictor), draws).items():
                found[host, predictor, metric] = one
        for metric, one in _less_same_document(of_host, draws):
            found[host, f"{Predictor.SAMPLED}{LESS}{Predictor.SAME_DOCUMENT}", metric] = one
        for predictor, metric, one in similarities_of(of_host, draws):
            found[host, predictor, metric] = one
        if likelihood is not None and (is_own_N := likelihood["host"] == host).any():
            for predictor, metric, one in likelihoods_of(likelihood.where(is_own_N), draws):
                found[host, predictor, metric] = one
    return found


def _less_same_document(of_host: Scored, draws: Draws) -> Iterator[tuple[str, Drawn]]:
    """Own texts less those of other rows of the document, on the rows that have both."""
    sampled, other = (
        of_host.where(of_host["predictor"] == predictor)
        for predictor in (Predictor.SAMPLED, Predictor.SAME_DOCUMENT)
    )
    if len(other):
        has_other = set(zip(other["passage_id"], other["position"], strict=True))
        keys = zip(sampled["passage_id"], sampled["position"], strict=True)
        own = measures_of(sampled.where(np.array([key in has_other for key in keys])), draws)
        for metric, one in measures_of(other, draws).items():
            if metric in COMPARED:
                yield metric, difference(own[metric], one)


def _differences(drawn: Mapping[Key, Drawn]) -> Iterator[tuple[Key, Drawn]]:
    """Sampled texts less every other predictor, on the same rows."""
    for host, predictor, metric in list(drawn):
        spoken = (host, Predictor.SAMPLED, metric)
        is_another = (
            predictor != Predictor.SAMPLED and LESS not in predictor and AT_START not in predictor
        )
        less = host, f"{Predictor.SAMPLED}{LESS}{predictor}", metric
        if metric in COMPARED and is_another and spoken in drawn and less not in drawn:
            yield less, difference(drawn[spoken], drawn[host, predictor, metric])


def _of_hosts(drawn: Mapping[Key, Drawn], units: str) -> Iterator[Number]:
    for (host, predictor, metric), one in drawn.items():
        yield _number((host, predictor, metric), estimate_of(one), units)


def _of_groups(
    drawn: Mapping[Key, Drawn], roles: Mapping[str, str], units: str
) -> Iterator[Number]:
    """Means over hosts: once with documents resampled, once with the host as the unit."""
    groups = {
        TRAINED: [host for host, role in roles.items() if role == "trained"],
        HELD_OUT: [host for host, role in roles.items() if role == "held out"],
    }
    # The anchor is in no mean: its encoder is the identity.
    groups[ALL] = [*groups[TRAINED], *groups[HELD_OUT]]
    for predictor, metric in dict.fromkeys((predictor, metric) for _, predictor, metric in drawn):
        means: dict[str, Drawn] = {}
        values: dict[str, np.ndarray] = {}
        for group, hosts in groups.items():
            members = [
                drawn[h, predictor, metric] for h in hosts if (h, predictor, metric) in drawn
            ]
            # A mean of some hosts would stand beside means of all, and differ by which they are.
            if not members or len(members) < len(hosts):
                continue
            # Hosts are averaged draw by draw: they share passages, so that their errors are not
            # independent and their intervals cannot be averaged.
            means[group] = combined(lambda *each: sum(each) / len(each), *members)
            values[group] = np.array([one.value for one in members])
            yield _number((group, predictor, metric), estimate_of(means[group]), units)
            if len(members) > 1:
                yield _number((group, predictor, metric), mean_of_units(values[group]), HOSTS)
        if TRAINED in means and HELD_OUT in means:
            gap = difference(means[TRAINED], means[HELD_OUT])
            yield _number((GAP, predictor, metric), estimate_of(gap), units)
            if min(len(values[TRAINED]), len(values[HELD_OUT])) > 1:
                by_hosts = gap_of_units(values[TRAINED], values[HELD_OUT])
                yield _number((GAP, predictor, metric), by_hosts, HOSTS)


def _number(key: Key, estimate: Estimate, covers: str) -> Number:
    host, predictor, metric = key
    return Number(
        host=host, predictor=str(predictor), metric=metric, covers=covers, **asdict(estimate)
    )


def _is_same(left: Number | None, right: Number | None) -> bool:
    if left is None or right is None or left.num_units != right.num_units:
        return False
    ours, theirs = ((one.value, one.low, one.high) for one in (left, right))
    return np.allclose(ours, theirs, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)


def _same_rows(start: Recorded, rows: Scored) -> Recorded:
    """The rows of the other evaluation, if they are of the same activations."""
    mine, theirs = (
        set(zip(one["host"], one["passage_id"], one["position"], strict=True))
        for one in (rows, start.rows)
    )
    if mine != theirs:
        raise ValueError(
            f"{len(mine ^ theirs)} activations are in one evaluation only: nothing is paired"
        )
    return start


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
