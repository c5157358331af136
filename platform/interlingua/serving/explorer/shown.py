"""Rows, passages and evaluations as they are answered. Knows no HTTP."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from interlingua.serving.explorer.answers import (
    Claim,
    EvaluationAnswer,
    GateAnswer,
    NamedHost,
    NamedPredictor,
    PassageAnswer,
    RowAnswer,
    SummaryAnswer,
)
from interlingua.serving.explorer.columns import NONE, flat
from interlingua.serving.explorer.facts import kinds_of
from interlingua.serving.explorer.table import Order, Passages, RowTable
from interlingua.specs.evaluation import PLAIN, Predictor
from interlingua.store.artifact import Artifact
from interlingua.store.rows.scored import scored_table

ROLES = ("anchor", "trained", "held out")  # in the order of the report


def evaluation_answer(name: str, evaluation: Artifact, bundle: str | None) -> EvaluationAnswer:
    """An evaluation by its record and the few columns that say what its rows are of."""
    table = scored_table(evaluation.path, ("host", "role", "predictor", "true"))
    hosts = table.group_by(["host", "role"], use_threads=False).aggregate([]).to_pylist()
    predictors = set(table["predictor"].unique().to_pylist())
    kinds = kinds_of(flat(table["true"]))
    metrics = evaluation.record.metrics
    return EvaluationAnswer(
        name=name,
        fingerprint=evaluation.record.fingerprint,
        split=metrics["split"],
        num_rows=len(table),
        num_passages=metrics["num_passages"],
        has_facts=bool(kinds),
        bundle=bundle,
        hosts=[
            NamedHost(tag=one["host"], role=one["role"])
            for one in sorted(hosts, key=_place_of_role)
        ],
        predictors=[
            NamedPredictor(name=one.value, title=PLAIN[one])
            for one in Predictor
            if one.value in predictors
        ],
        gates=[
            GateAnswer(
                name=gate["name"],
                is_passed=gate["is_passed"],
                is_accepted=gate["is_accepted"],
                words=gate["words"],
            )
            for gate in metrics["gates"]
        ],
        kinds={kind: list(values) for kind, values in kinds.items()},
        orders=list(get_args(Order)),
    )


def summary_of(table: RowTable, rows_K: np.ndarray) -> SummaryAnswer:
    """What K rows are together."""
    fve_K = table.fve_N[rows_K]
    fve_K = fve_K[~np.isnan(fve_K)]
    num_claims = int(table.facts.stated.lengths()[rows_K].sum())
    return SummaryAnswer(
        num_rows=len(rows_K),
        num_passages=len(np.unique(table.passages.texts.code_N[rows_K])),
        mean_fve_centred_own=float(fve_K.mean()) if len(fve_K) else None,
        failed_share=float(table.is_failed_N[rows_K].mean()) if len(rows_K) else None,
        false_share=float(table.facts.num_false_N[rows_K].sum()) / num_claims
        if num_claims
        else None,
    )


def rows_of(table: RowTable, rows: Sequence[int]) -> list[RowAnswer]:
    """Rows by their numbers."""
    taken = table.shown.take(pa.array(rows, pa.int64())).to_pylist()
    return [_row(table, row, shown) for row, shown in zip(rows, taken, strict=True)]


def beside(table: RowTable, row: int) -> list[int]:
    """The rows of other predictors of the same activation: of the same sample, or the only one."""
    own_N = np.flatnonzero(table.activation_N == table.activation_N[row])
    sample = table.sample_N[row]
    found = []
    for predictor in range(len(table.predictors.names)):
        theirs = own_N[table.predictors.code_N[own_N] == predictor]
        if predictor != table.predictors.code_N[row]:
            same = theirs[table.sample_N[theirs] == sample]
            found += (theirs if len(theirs) == 1 else same).tolist()
    return found


def passages_of(passages: Passages, places: Sequence[int]) -> list[PassageAnswer]:
    """Passages by their places."""
    return [
        PassageAnswer(
            passage_id=passages.ids[place],
            text=passages.texts.known[place].as_py(),
            facts=[f"{kind}={value}" for kind, value in passages.facts[place].items()],
        )
        for place in places
    ]


def _row(table: RowTable, row: int, shown: dict[str, Any]) -> RowAnswer:
    place = int(table.passages.texts.code_N[row])
    return RowAnswer(
        row=row,
        host=table.hosts.names[table.hosts.code_N[row]],
        role=shown["role"],
        predictor=table.predictors.names[table.predictors.code_N[row]],
        passage_id=table.passages.ids[place],
        document_id=shown["document_id"],
        position=_count(shown["position"]),
        span_end=_count(shown["span_end"]),
        sample=shown["sample"],
        text=table.passages.texts.known[place].as_py(),
        explanation=shown["explanation"],
        raw_text=shown["text"],
        fve_centred_own=_number(float(table.fve_N[row])),
        nmse=_number(shown["nmse"]),
        cosine=_number(shown["cos"]),
        rank=_count(shown["rank"]),
        num_rivals=_count(shown["num_rivals"]),
        is_failed=shown["is_failed"],
        num_tokens=_count(shown["num_tokens"]),
        log_prob=_number(shown["log_prob"]),
        claims=[Claim(fact=fact, is_true=holds) for fact, holds in table.facts.of_row(row)],
        facts=table.facts.of_activation(int(table.activation_N[row])),
    )


def _count(number: int | None) -> int | None:
    return None if number == NONE else number


def _number(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _place_of_role(host: Mapping[str, str]) -> int:
    return ROLES.index(host["role"]) if host["role"] in ROLES else len(ROLES)
