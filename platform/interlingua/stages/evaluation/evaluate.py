"""Stage `evaluation`: the numbers of all scored rows, and whether they may be trusted.

No model is opened: what stands here is made again from the rows by any machine. With the
evaluation that training started from, also the paired differences to it.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from interlingua.probes.methods import METHODS_NAME
from interlingua.report.gates import Evidence, Gate, failed, gates_of
from interlingua.report.numbers import (
    COMPARED,
    LESS,
    NUMBERS_NAME,
    Numbers,
    numbers_of,
    write_numbers,
)
from interlingua.specs.evaluation import Arm, EvaluationSpec
from interlingua.stages.evaluation.unseen import check_unseen
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.scored import (
    ROWS_FOLDER,
    EvaluatedPassage,
    Scored,
    host_path,
    read_scored,
    write_evaluated,
    write_scored,
)
from interlingua.store.rows.splits import SplitAccess, SplitViolation, recorded_access

RECORDED = (Arm.SAMPLED, Arm.GREEDY, Arm.GOLD)


def run(
    spec: EvaluationSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Join the hosts' rows, check where they come from, make the numbers, judge them."""
    by_host = [read_scored(inputs[f"{tag}_scored"].path) for tag in spec.host_tags]
    scored = {passage_id for rows in by_host for passage_id in rows["passage_id"].tolist()}
    num_checked = check_unseen(scored, spec.split, inputs, out.parent.parent)
    with recorded_access({spec.split}, out) as access:
        passages = list(_passages(scored, spec, inputs["passages"], access))
    rows = shared_rows(by_host)
    (out / ROWS_FOLDER).mkdir(exist_ok=True)
    for tag in spec.host_tags:
        write_scored(host_path(out, tag), rows.where(rows["host"] == tag))
    evaluated = set(rows["passage_id"].tolist())
    write_evaluated(out, (one for one in passages if one.passage_id in evaluated))
    start = read_scored(inputs["start"].path) if "start" in inputs else None
    numbers = numbers_of(rows, seed=spec.seed, start=start)
    write_numbers(out / NUMBERS_NAME, numbers)
    shutil.copyfile(inputs["methods"].path / METHODS_NAME, out / METHODS_NAME)
    gates = gates_of(_evidence(rows, numbers, start, inputs, num_checked), spec.accepts)
    return {
        "split": spec.split.value,
        "num_hosts": len(spec.host_tags),
        "num_passages": len(evaluated),
        "num_rows": len(rows),
        "num_artifacts_checked": num_checked,
        "gates": [_recorded(gate) for gate in gates],
        "failed_gates": failed(gates),
        **_headlines(numbers),
    }


def shared_rows(by_host: Sequence[Scored]) -> Scored:
    """The rows of activations that every host has: means over hosts are of the same passages."""
    keys = [set(_keys(rows)) for rows in by_host]
    common = set.intersection(*keys)
    kept = [
        rows
        if own == common
        else rows.where(np.array([key in common for key in _keys(rows)], dtype=bool))
        for rows, own in zip(by_host, keys, strict=True)
    ]
    return Scored({name: np.concatenate([rows[name] for rows in kept]) for name in kept[0].columns})


def _keys(rows: Scored) -> list[tuple[str, int]]:
    return list(zip(rows["passage_id"].tolist(), rows["position"].tolist(), strict=True))


def _evidence(
    rows: Scored,
    numbers: Numbers,
    start: Scored | None,
    inputs: Mapping[str, Artifact],
    num_checked: int,
) -> Evidence:
    counts = [a.record.metrics for name, a in inputs.items() if name.endswith("_scored")]
    num_asked = sum(count["num_activations"] for count in counts)
    num_kept = len(set(zip(rows["host"].tolist(), _keys(rows), strict=True)))
    return Evidence(
        rows=rows,
        numbers=numbers,
        start=start,
        num_asked=num_asked,
        num_dropped=num_asked - num_kept,
        num_checked=num_checked,
    )


def _passages(
    evaluated: set[str], spec: EvaluationSpec, passages: Artifact, access: SplitAccess
) -> Iterator[EvaluatedPassage]:
    left = set(evaluated)
    for passage in read_passages(passages.path / PASSAGES_NAME, {spec.split}, access):
        if passage.passage_id in evaluated:
            left.discard(passage.passage_id)
            yield EvaluatedPassage(
                passage_id=passage.passage_id, text=passage.text, facts=passage.facts
            )
    if left:
        raise SplitViolation(
            f"{len(left)} of the {len(evaluated)} scored passages are none of {spec.split}, the "
            f"first {min(left)}: their rows say what is not so"
        )


def _headlines(numbers: Numbers) -> dict[str, float]:
    """What a record and a tracker hold; all of them stand in the table of numbers."""
    arms = {*RECORDED, *(arm for n in numbers.all if LESS in (arm := n.arm))}
    return {
        name: value
        for number in numbers.all
        if number.metric in COMPARED and number.arm in arms and number.covers == "passages"
        for name, value in (
            (number.name, number.value),
            (f"{number.name}_low", number.low),
            (f"{number.name}_high", number.high),
        )
    }


def _recorded(gate: Gate) -> dict[str, Any]:
    return {**asdict(gate), "name": gate.name.value}
