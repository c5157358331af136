"""The scored rows of all hosts, joined: shared rows, their passages, the gates' evidence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from interlingua.core.statistics import Estimate
from interlingua.probes.methods import LESS_DIRECT, USED, MethodNumber
from interlingua.report.from_rows import Recorded
from interlingua.report.gates.evidence import Evidence
from interlingua.report.gates.gates import FVE, Gate
from interlingua.report.numbers import COMPARED, HOSTS, LESS, Numbers
from interlingua.sources.source import nameable, truth_of
from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.likelihood import (
    Likelihood,
    joined_likelihood,
    read_likelihood,
    write_likelihood,
)
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import (
    ROWS_FOLDER,
    EvaluatedPassage,
    Scored,
    host_path,
    write_evaluated,
    write_scored,
)
from interlingua.store.rows.splits import SplitAccess, SplitViolation


class Checked(NamedTuple):
    """How many artifacts upstream stated what they consumed, and how many pairs could not."""

    num_artifacts: int
    num_unknown: int


class Compared(NamedTuple):
    """What the rows are compared with: those that training began with, and other decoders."""

    start: Recorded | None
    methods: Sequence[MethodNumber]


RECORDED = (Predictor.SAMPLED, Predictor.GREEDY, Predictor.TEACHER)


def shared_rows(by_host: Sequence[Scored]) -> Scored:
    """The rows of the activations that every host has."""
    keys = [set(_keys(rows)) for rows in by_host]
    # Means over hosts must be of the same passages, or a host that lost hard ones looks good.
    common = set.intersection(*keys)
    kept = [
        rows
        if own == common
        else rows.where(np.array([key in common for key in _keys(rows)], dtype=bool))
        for rows, own in zip(by_host, keys, strict=True)
    ]
    return Scored({name: np.concatenate([rows[name] for rows in kept]) for name in kept[0].columns})


def _keys(rows: Scored | Likelihood) -> list[tuple[str, int]]:
    return list(zip(rows["passage_id"].tolist(), rows["position"].tolist(), strict=True))


def evidence(
    rows: Scored,
    numbers: Numbers,
    compared: Compared,
    counts: Iterable[Mapping[str, Any]],
    checked: Checked,
) -> Evidence:
    """The evidence that the gates judge by; `counts` are the metrics of the hosts' scores."""
    num_asked = sum(count["num_activations"] for count in counts)
    # Over all hosts, after the join: a row that one host lost is lost for every other, too.
    num_kept = len(set(zip(rows["host"].tolist(), _keys(rows), strict=True)))
    return Evidence(
        rows=rows,
        numbers=numbers,
        start=None if compared.start is None else compared.start.rows,
        num_asked=num_asked,
        num_dropped=num_asked - num_kept,
        num_checked=checked.num_artifacts,
        num_unknown=checked.num_unknown,
        decoder_gain=decoder_gain(compared.methods),
    )


def decoder_gain(methods: Sequence[MethodNumber]) -> Estimate | None:
    """What the recipe's decoder has more than one fitted on the AV's own texts."""
    for n in methods:
        if (n.fit, n.predictor, n.metric) == (USED, LESS_DIRECT, FVE) and n.covers != HOSTS:
            return Estimate(value=n.value, low=n.low, high=n.high, num_units=n.num_units)
    return None


def evaluated_passages(
    evaluated: set[str], split: Split, passages: Artifact, access: SplitAccess
) -> list[EvaluatedPassage]:
    """The texts that rows were scored on; raises where a row is of no text of the split."""
    truth = truth_of(passages)
    found = [
        EvaluatedPassage(
            passage_id=passage.passage_id,
            text=passage.text,
            facts={} if truth is None else nameable(truth, passage.facts),
        )
        for passage in read_passages(passages.path / PASSAGES_NAME, {split}, access)
        if passage.passage_id in evaluated
    ]
    if left := evaluated - {passage.passage_id for passage in found}:
        raise SplitViolation(
            f"{len(left)} of the {len(evaluated)} scored passages are none of {split}, the "
            f"first {min(left)}: their rows say what is not so"
        )
    return found


def store(
    out: Path, rows: Scored, passages: Iterable[EvaluatedPassage], tags: Iterable[str]
) -> None:
    """Store the joined rows, a file a host, and the passages that are left in them."""
    (out / ROWS_FOLDER).mkdir(exist_ok=True)
    for tag in tags:
        write_scored(host_path(out, tag), rows.where(rows["host"] == tag))
    evaluated = set(rows["passage_id"].tolist())
    write_evaluated(out, (one for one in passages if one.passage_id in evaluated))


def with_likelihood(out: Path, rows: Scored, likelihood: Iterable[Artifact]) -> Recorded:
    """The rows with the likelihoods of their activations, if there are any, which are stored."""
    parts = [read_likelihood(artifact.path) for artifact in likelihood]
    if not parts:
        return Recorded(rows=rows, likelihood=None)
    found, common = joined_likelihood(parts), set(_keys(rows))
    # Cut like the scored rows: means over hosts must be of the same texts.
    found = found.where(np.array([key in common for key in _keys(found)], dtype=bool))
    write_likelihood(out, found)
    return Recorded(rows=rows, likelihood=found)


def sizes(recorded: Recorded) -> dict[str, int]:
    """How much numbers are made of."""
    rows, likelihood = recorded.rows, recorded.likelihood
    return {
        "num_hosts": len(rows.hosts()),
        "num_passages": len(set(rows["passage_id"].tolist())),
        "num_documents": len(set(rows["document_id"].tolist())),
        "num_rows": len(rows),
        "num_likelihood_rows": 0 if likelihood is None else len(likelihood),
    }


def headlines(numbers: Numbers) -> dict[str, float]:
    """The numbers that a record and a tracker hold; the table of numbers has all."""
    # The NLA's own ways and the ceiling, and every paired difference between predictors.
    predictors = {
        *RECORDED,
        *(predictor for n in numbers.all if LESS in (predictor := n.predictor)),
    }
    return {
        name: value
        for number in numbers.all
        # Means over hosts are in the table twice, once with the host as the unit: not that one.
        if number.metric in COMPARED and number.predictor in predictors and number.covers != HOSTS
        for name, value in (
            (number.name, number.value),
            (f"{number.name}_low", number.low),
            (f"{number.name}_high", number.high),
        )
    }


def recorded(gate: Gate) -> dict[str, Any]:
    """The gate as a record holds it."""
    return {**asdict(gate), "name": gate.name.value}
