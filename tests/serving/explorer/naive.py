"""The same as the product's search, a row at a time: what its answers must be equal to."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def known_rows(rows: Sequence[Row], passages: Sequence[Row]) -> list[Row]:
    """Rows with what a search asks of them: fve, passage, true facts, false claims."""
    texts = {passage["passage_id"]: passage["text"] for passage in passages}
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    true: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        group = sums[row["host"], row["predictor"]]
        group[0] += row["own_variance"]
        group[1] += 1
        if row["true"] is not None:
            true[_place(row)] = row["true"]
    found = []
    for number, row in enumerate(rows):
        total, count = sums[row["host"], row["predictor"]]
        holds = true.get(_place(row), [])
        stated = row["said"] or []
        found.append(
            {
                **row,
                "row": number,
                "fve": 1 - row["nmse"] / (total / count),
                "passage": texts[row["passage_id"]],
                "shown": row["text"] if row["explanation"] is None else row["explanation"],
                "facts": holds,
                "claims": [(fact, fact in holds) for fact in stated],
                "num_false": sum(fact not in holds for fact in stated),
            }
        )
    return found


def found(rows: Sequence[Row], asked: Mapping[str, Any]) -> list[Row]:
    """All rows that fit, in order."""
    return sorted((row for row in rows if _fits(row, asked)), key=lambda row: _key(row, asked))


def summary(rows: Sequence[Row]) -> Row:
    fves = [row["fve"] for row in rows if not math.isnan(row["fve"])]
    claims = [is_true for row in rows for _, is_true in row["claims"]]
    return {
        "num_rows": len(rows),
        "num_passages": len({row["passage_id"] for row in rows}),
        "mean_fve_centred_own": sum(fves) / len(fves) if fves else None,
        "failed_share": sum(row["is_failed"] for row in rows) / len(rows) if rows else None,
        "false_share": claims.count(False) / len(claims) if claims else None,
    }


def beside(rows: Sequence[Row], number: int) -> list[int]:
    own = rows[number]
    others: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if _place(row) == _place(own) and row["predictor"] != own["predictor"]:
            others[row["predictor"]].append(row)
    return sorted(
        row["row"]
        for several in others.values()
        for row in several
        if len(several) == 1 or row["sample"] == own["sample"]
    )


def words_of(search: str) -> list[str]:
    return [a or b for a, b in re.findall(r'"([^"]+)"|(\S+)', search.lower())]


def _place(row: Row) -> tuple[Any, ...]:
    return row["host"], row["passage_id"], row["position"]


def _fits(row: Row, asked: Mapping[str, Any]) -> bool:
    named = all(
        asked.get(field) is None or row[column] == asked[field]
        for field, column in (
            ("host", "host"),
            ("predictor", "predictor"),
            ("is_failed", "is_failed"),
            ("is_same_passage", "passage_id"),
        )
    )
    texts = {
        "explanation": [row["shown"]],
        "passage": [row["passage"]],
        "both": [row["shown"], row["passage"]],
    }[asked.get("field", "explanation")]
    searched = [text.lower() for text in texts if text is not None]
    facts: dict[str, list[str]] = defaultdict(list)
    for fact in asked.get("facts") or ():
        facts[fact.partition("=")[0]].append(fact)
    claims = {
        "all": True,
        "any_false": row["num_false"] > 0,
        "all_true": bool(row["claims"]) and not row["num_false"],
    }
    return (
        named
        and all(any(w in text for text in searched) for w in words_of(asked.get("search") or ""))
        and all(set(values) & set(row["facts"]) for values in facts.values())
        and claims[asked.get("claims", "all")]
        and (asked.get("min_fve") is None or row["fve"] >= asked["min_fve"])
        and (asked.get("max_fve") is None or row["fve"] <= asked["max_fve"])
    )


def _key(row: Row, asked: Mapping[str, Any]) -> tuple[Any, ...]:
    has_none = math.isnan(row["fve"])
    first = {
        "worst": (has_none, 0 if has_none else row["fve"]),
        "best": (has_none, 0 if has_none else -row["fve"]),
        "passage": (),
        "longest": (-1 if row["shown"] is None else -1 - len(row["shown"]),),
        "most_false": (-row["num_false"],),
    }[asked.get("order", "worst")]
    last = row["passage_id"], row["position"], row["sample"], row["row"]
    # Without a text comes last, behind the empty one.
    return *(first if row["shown"] is not None or asked.get("order") != "longest" else (1,)), *last
