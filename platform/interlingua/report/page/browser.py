"""The explanations of an evaluation as data for the page's own script. Knows no plot and no table.

At most so many rows of a host and predictor, and fewer where the whole would be too large; always
the first by passage id, which is a hash: a random sample that is the same for all of them.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from interlingua.report.tables.material import Material
from interlingua.report.tables.row_scores import row_fve
from interlingua.specs.evaluation import PLAIN, Predictor
from interlingua.store.rows.scored import Scored

LARGEST_BYTES = 3_500_000


def explanations(material: Material, shown_rows: int) -> dict[str, Any]:
    """Everything the explanation browser shows: passages, facts, and rows by host and predictor."""
    while True:
        found = _explanations(material, shown_rows)
        if len(json.dumps(found)) <= LARGEST_BYTES or shown_rows <= 1:
            return found
        # Halved for all hosts and predictors alike, so that the same passages stay comparable.
        shown_rows //= 2


def _explanations(material: Material, shown_rows: int) -> dict[str, Any]:
    rows, totals, predictors = {}, {}, {}
    for host in material.roles:
        of_host = material.rows.where(material.rows["host"] == host)
        for predictor in of_host.predictors():
            own = of_host.of(host, predictor)
            # Predictors without words, such as the encoder, have nothing to show.
            if all(text is None for text in own["text"]):
                continue
            predictors[predictor] = PLAIN[Predictor(predictor)]
            totals[f"{host}|{predictor}"] = len(own)
            rows[f"{host}|{predictor}"] = _shown(own, shown_rows)
    used = {row["passage"] for shown in rows.values() for row in shown}
    passages = {key: material.passages[key] for key in sorted(used)}
    return {
        "hosts": [host for host in material.roles if any(k.startswith(f"{host}|") for k in rows)],
        "predictors": [[one.value, predictors[one]] for one in Predictor if one in predictors],
        "totals": totals,
        "rows": rows,
        "passages": {key: passage.text for key, passage in passages.items()},
        "facts": {key: _facts(passage.facts) for key, passage in passages.items()},
    }


def _shown(rows: Scored, shown_rows: int) -> list[dict[str, Any]]:
    keys = zip(rows["sample"], rows["passage_id"], rows["position"], strict=True)
    order = sorted(range(len(rows)), key=list(keys).__getitem__)[:shown_rows]
    fve_N = row_fve(rows)
    return [_row(rows, number, fve_N) for number in order]


def _row(rows: Scored, number: int, fve_N: np.ndarray) -> dict[str, Any]:
    true, said = rows["true"][number], rows["said"][number]
    explanation = rows["explanation"][number]
    return {
        "passage": rows["passage_id"][number],
        "position": int(rows["position"][number]),
        "end": int(rows["span_end"][number]),
        # Of a sentence less is true than of its passage, whose facts are given once.
        "true": list(true or ()) if rows["span_end"][number] >= 0 else None,
        "sample": int(rows["sample"][number]),
        "fve": float(fve_N[number]) if np.isfinite(fve_N[number]) else None,
        "failed": bool(rows["is_failed"][number]),
        "text": explanation if explanation is not None else rows["text"][number] or "",
        "said": [[fact, true is not None and fact in true] for fact in said or ()],
    }


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [f"{kind}={value}" for kind, value in facts.items() if value]
