"""Explanations and rollouts as tables for a tracker: one row a text, ids that stay the same.

At most so many rows, always the first by passage id, which is a hash: a random sample that is the
same for all runs of a recipe, so that two runs can be laid side by side. Knows no tracker.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from interlingua.report.tables.row_scores import row_fve
from interlingua.specs.evaluation import Predictor
from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.rollouts import read_rollouts
from interlingua.store.rows.scored import EvaluatedPassage, Scored, read_evaluated, read_scored
from interlingua.store.rows.splits import SplitAccess

PASSAGES_SHOWN = 40  # of every host
MOST_ROLLOUTS = 6000

Row = dict[str, Any]


def explanation_rows(evaluation: Artifact, start: Artifact | None) -> list[Row]:
    """The first explanations of every host beside what was read; `start` is before RL."""
    rows, before = read_scored(evaluation.path), start and read_scored(start.path)
    passages = {one.passage_id: one for one in read_evaluated(evaluation.path)}
    found = []
    for host, role in rows.hosts().items():
        sampled = _first_samples(rows, host, Predictor.SAMPLED)
        beside = {
            "greedy": _texts(_first_samples(rows, host, Predictor.GREEDY)),
            "teacher": _texts(_first_samples(rows, host, Predictor.TEACHER)),
            "before_rl": _texts(_first_samples(before, host, Predictor.SAMPLED)) if before else {},
        }
        fve_N = row_fve(sampled)
        order = sorted(range(len(sampled)), key=_keys(sampled).__getitem__)[:PASSAGES_SHOWN]
        for number in order:
            key = _keys(sampled)[number]
            # MLflow lays runs side by side by the first column, and shows the second.
            shown: Row = {"row": row_id(host, *key)}
            shown |= _explained(sampled, number, passages[key[0]])
            shown |= {"fve": _finite(fve_N[number])}
            shown |= {name: texts[key] for name, texts in beside.items() if key in texts}
            found.append(shown | {"host": host, "role": role, "passage_id": key[0]})
    return found


def rollout_rows(run: Artifact, passages: Artifact) -> list[Row]:
    """The samples of every evaluation on `dev`, by step; of large runs the first activations."""
    by_step = read_rollouts(run.path)
    samples = [(step, row) for step, rows in by_step.items() for row in rows]
    keys = sorted({(row["passage_id"], row["position"], row["host"]) for _, row in samples})
    kept = set(keys[: max(1, MOST_ROLLOUTS * len(keys) // max(1, len(samples)))])
    # A table is read by a tracker, no stage: nothing is consumed by it.
    read = read_passages(passages.path / PASSAGES_NAME, {Split.DEV}, SplitAccess({Split.DEV}))
    texts = {passage.passage_id: passage.text for passage in read}
    found = []
    for step, row in samples:
        passage_id, position, host = row["passage_id"], row["position"], row["host"]
        if (passage_id, position, host) in kept:
            name = row_id(host, passage_id, position)
            sample = f"{name}/{row['sample']}"
            shown = {"rollout": f"step {step}: {sample}", "explanation": row["explanation"]}
            shown |= {"step": step, "passage": texts[passage_id]}
            shown |= {of: _finite(row[of]) for of in ("reward", "kl", "nmse", "num_tokens")}
            found.append(shown | {"host": host, "row": name, "sample": sample})
    return found


def table_json(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows in the format of MLflow's tables; what a row does not have is null."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    data = [[row.get(name) for name in columns] for row in rows]
    return json.dumps({"columns": columns, "data": data}).encode()


def row_id(host: str, passage_id: str, position: int) -> str:
    """The name of an activation: the same in every run and at every step."""
    return f"{host}/{passage_id}" + (f":{position}" if position >= 0 else "")


def _explained(rows: Scored, number: int, passage: EvaluatedPassage) -> Row:
    start, end = int(rows["position"][number]), int(rows["span_end"][number])
    true, said = rows["true"][number], rows["said"][number]
    shown = {
        "explanation": rows["explanation"][number] or rows["text"][number],
        "read": passage.text[start:end] if end >= 0 else passage.text,
    }
    if start >= 0 and end < 0:
        shown["token"] = str(start)
    if true is not None:
        shown["true"] = ", ".join(true)
        shown["wrong"] = ", ".join(fact for fact in said or () if fact not in true)
    return shown


def _first_samples(rows: Scored, host: str, predictor: str) -> Scored:
    own = rows.of(host, predictor)
    return own.where(own["sample"] <= 0)  # a text of which there is one has the number -1


def _texts(rows: Scored) -> dict[tuple[str, int], str]:
    texts = (e or t for e, t in zip(rows["explanation"], rows["text"], strict=True))
    return {key: text for key, text in zip(_keys(rows), texts, strict=True) if text}


def _keys(rows: Scored) -> list[tuple[str, int]]:
    return list(zip(rows["passage_id"].tolist(), rows["position"].tolist(), strict=True))


def _finite(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
