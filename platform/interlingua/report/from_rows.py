"""Every number of an evaluation, made of its scored rows: any machine does it without a model.

All numbers of an evaluation come from one set of resampled documents, so that every difference is
paired. Knows no stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interlingua.core.resampling import NUM_DRAWS, Drawn, Draws, combined, difference
from interlingua.core.statistics import Estimate, estimates_of, gap_of_units, means_of_units
from interlingua.report.measures import likelihoods_of, measures_of, similarities_of
from interlingua.report.numbers import (
    ALL,
    AT_START,
    COMPARED,
    DOCUMENTS,
    GAP,
    HELD_OUT,
    HOSTS,
    LEARNED,
    LESS,
    PASSAGES,
    START,
    TRAINED,
    Number,
    Numbers,
)
from interlingua.specs.evaluation import Predictor
from interlingua.store.rows.likelihood import (
    LIKELIHOOD_NAME,
    Likelihood,
    read_likelihood,
    write_likelihood,
)
from interlingua.store.rows.scored import ROWS_FOLDER, Scored, host_path, read_scored, write_scored

START_FOLDER = "start"  # in an evaluation's folder: rows that are not its own


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
        # Of the start only what is compared: the rows of its controls would take as long again.
        for (host, predictor, metric), one in _drawn(_learned(start, rows), draws).items():
            if predictor in LEARNED and (host, predictor, metric) in drawn:
                left = drawn[host, predictor, metric]
                drawn[host, predictor + AT_START, metric] = one
                drawn[host, predictor + LESS + START, metric] = difference(left, one)
    # Behind the start: its predictors have names that no further difference is taken of.
    for key, one in list(_differences(drawn)):
        drawn[key] = one
    num_passages = len(set(rows["passage_id"].tolist()))
    units = PASSAGES if len(draws.units_U) == num_passages else DOCUMENTS
    of_hosts = [(key, one, units) for key, one in drawn.items()]
    groups = _of_groups(drawn, rows.hosts(), units)
    return Numbers(list(_numbers([*of_hosts, *groups])))


def side_by_side(one: Recorded, other: Recorded, *, seed: int) -> tuple[Numbers, Numbers, Numbers]:
    """The numbers of both evaluations, and the paired differences `other - one`.

    Both must be of the same activations: one set of draws serves them.
    """
    draws = Draws.of(one.rows.documents(), seed=seed)
    ours, theirs = (_drawn(_of_learned(recorded), draws) for recorded in (one, other))
    common = [key for key in ours if key in theirs]
    apart = {key: difference(theirs[key], ours[key]) for key in common}
    num_passages = len(set(one.rows["passage_id"].tolist()))
    units = PASSAGES if len(draws.units_U) == num_passages else DOCUMENTS
    roles = one.rows.hosts()
    found = []
    for drawn in ({key: ours[key] for key in common}, {key: theirs[key] for key in common}, apart):
        of_hosts = [(key, own, units) for key, own in drawn.items()]
        found.append(Numbers(list(_numbers([*of_hosts, *_of_groups(drawn, roles, units)]))))
    return found[0], found[1], found[2]


def store_start(folder: Path, start: Path) -> Recorded:
    """Put what is compared of another evaluation beside the rows of a folder, which then needs no
    other to make its numbers again.
    """
    rows = _of_learned(read_recorded(start))
    (folder / START_FOLDER / ROWS_FOLDER).mkdir(parents=True)
    for host in rows.rows.hosts():
        of_host = rows.rows.where(rows.rows["host"] == host)
        write_scored(host_path(folder / START_FOLDER, host), of_host)
    if rows.likelihood is not None:
        write_likelihood(folder / START_FOLDER, rows.likelihood)
    return rows


def read_recorded(folder: Path) -> Recorded:
    """The rows of an evaluation's folder."""
    has_likelihood = (folder / LIKELIHOOD_NAME).is_file()
    likelihood = read_likelihood(folder) if has_likelihood else None
    return Recorded(rows=read_scored(folder), likelihood=likelihood)


Key = tuple[str, str, str]  # host, predictor, metric
# A number whose interval may be still to be taken: of draws, or of the values of hosts.
Pending = tuple[Key, Drawn | np.ndarray | Estimate, str]


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


def _of_groups(
    drawn: Mapping[Key, Drawn], roles: Mapping[str, str], units: str
) -> Iterator[Pending]:
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
            yield (group, predictor, metric), means[group], units
            if len(members) > 1:
                yield (group, predictor, metric), values[group], HOSTS
        if TRAINED in means and HELD_OUT in means:
            gap = difference(means[TRAINED], means[HELD_OUT])
            yield (GAP, predictor, metric), gap, units
            if min(len(values[TRAINED]), len(values[HELD_OUT])) > 1:
                by_hosts = gap_of_units(values[TRAINED], values[HELD_OUT])
                yield (GAP, predictor, metric), by_hosts, HOSTS


def _numbers(pending: Sequence[Pending]) -> Iterator[Number]:
    """Numbers in their order; the intervals of all draws are taken at once."""
    estimates = iter(estimates_of([one for _, one, _ in pending if isinstance(one, Drawn)]))
    by_size: dict[int, list[np.ndarray]] = {}
    for _, one, _ in pending:
        if isinstance(one, np.ndarray):
            by_size.setdefault(len(one), []).append(one)
    means = {size: iter(means_of_units(values)) for size, values in by_size.items()}
    for key, one, covers in pending:
        if isinstance(one, Estimate):
            yield _number(key, one, covers)
        else:
            made = estimates if isinstance(one, Drawn) else means[len(one)]
            yield _number(key, next(made), covers)


def _number(key: Key, estimate: Estimate, covers: str) -> Number:
    host, predictor, metric = key
    return Number(
        host=host,
        predictor=str(predictor),
        metric=metric,
        covers=covers,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_units=estimate.num_units,
    )


def _learned(start: Recorded, rows: Scored) -> Recorded:
    """The rows of the AV's own texts of the other evaluation, if of the same activations."""
    mine, theirs = (
        set(zip(one["host"], one["passage_id"], one["position"], strict=True))
        for one in (rows, start.rows)
    )
    if mine != theirs:
        raise ValueError(
            f"{len(mine ^ theirs)} activations are in one evaluation only: nothing is paired"
        )
    return _of_learned(start)


def _of_learned(recorded: Recorded) -> Recorded:
    is_learned_N = np.isin(recorded.rows["predictor"].astype(str), LEARNED)
    return Recorded(rows=recorded.rows.where(is_learned_N), likelihood=recorded.likelihood)
