"""Everything that a report is made of, as it was recorded. Knows no stage and no page."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlingua.report.numbers import ALL, DOCUMENTS, NUMBERS_NAME, Number, Numbers, read_numbers
from interlingua.report.tables.rl_runs import RlRun
from interlingua.specs.evaluation import Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.rows.scored import EvaluatedPassage, Scored, read_evaluated, read_scored

METHODS_NAME = "methods.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One number of a comparison of decoder fits: who predicted, fitted how, measured how."""

    fit: str
    predictor: str
    metric: str
    value: float
    low: float
    high: float
    num_units: int
    covers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """An evaluation and all that it came from."""

    recipe: str
    evaluation: Artifact
    upstream: tuple[Artifact, ...]
    rows: Scored
    numbers: Numbers
    methods: tuple[Method, ...]
    passages: Mapping[str, EvaluatedPassage]
    rl_runs: tuple[RlRun, ...] = ()  # all runs of a recipe that has several, this one among them

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Metrics in the record of the evaluation."""
        return self.evaluation.record.metrics

    @property
    def roles(self) -> dict[str, str]:
        """Role by host: the anchor, the trained, the held out."""
        roles = self.rows.hosts()
        order = {role: place for place, role in enumerate(("anchor", "trained", "held out"))}
        return dict(sorted(roles.items(), key=lambda entry: order.get(entry[1], len(order))))

    @property
    def whole(self) -> str:
        """Host or group that the headline is about: the mean of all hosts, or the only one."""
        return ALL if self.numbers.get(ALL, Predictor.SAMPLED, "nmse") else next(iter(self.roles))

    @property
    def of_documents(self) -> str:
        """How many documents the passages are of, in words; nothing where each is its own."""
        if self.numbers.units != DOCUMENTS:
            return ""
        return f" of {len(set(self.rows['document_id'].tolist())):,} documents"

    def of_kind(self, kind: str) -> list[Artifact]:
        """The artifacts of one kind upstream."""
        return [artifact for artifact in self.upstream if artifact.record.kind == kind]


def read_material(
    recipe: str,
    evaluation: Artifact,
    upstream: Sequence[Artifact],
    rl_runs: Sequence[RlRun] = (),
) -> Material:
    """Material from an evaluation's folder; raises where its rows may not be reported."""
    return Material(
        recipe=recipe,
        evaluation=evaluation,
        upstream=tuple(upstream),
        rows=read_scored(evaluation.path),
        numbers=read_numbers(evaluation.path / NUMBERS_NAME),
        methods=read_methods(evaluation.path / METHODS_NAME),
        passages={one.passage_id: one for one in read_evaluated(evaluation.path)},
        rl_runs=tuple(rl_runs),
    )


def failed_gates(material: Material) -> list[str]:
    """The gates that failed and were not accepted beforehand."""
    return [
        gate["name"]
        for gate in material.metrics["gates"]
        if not gate["is_passed"] and not gate["is_accepted"]
    ]


def accepted_gates(material: Material) -> list[str]:
    """The gates that failed and were accepted by name beforehand."""
    return [
        gate["name"]
        for gate in material.metrics["gates"]
        if not gate["is_passed"] and gate["is_accepted"]
    ]


def read_methods(path: Path) -> tuple[Method, ...]:
    """The comparison of decoder fits; empty where none was made."""
    if not path.exists():
        return ()
    with path.open(newline="") as file:
        return tuple(
            Method(
                fit=row["fit"],
                predictor=row["predictor"],
                metric=row["metric"],
                value=float(row["value"]),
                low=float(row["low"]),
                high=float(row["high"]),
                num_units=int(row["num_units"]),
                covers=row["covers"],
            )
            for row in csv.DictReader(file)
        )


def as_number(method: Method) -> Number:
    """The number of a comparison under the names of a host's numbers."""
    return Number(
        host=method.fit,
        predictor=method.predictor,
        metric=method.metric,
        value=method.value,
        low=method.low,
        high=method.high,
        num_units=method.num_units,
        covers=method.covers,
    )
