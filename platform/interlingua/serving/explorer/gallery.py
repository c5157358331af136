"""Answers of a server, recorded: with them the page shows examples where nothing is served."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from interlingua.serving.explorer.gallery_asks import Example, Recorder
from interlingua.serving.explorer.gallery_keys import asked_key, packed
from interlingua.serving.explorer.gallery_rule import (
    NUM_FIRST,
    RULE,
    Ask,
    Chosen,
    chosen_rows,
    evaluation_path,
)

FORMAT = "interlingua gallery 1"
SHOWN = ("row", "host", "role", "passage_id", "text", "position", "span_end", "facts")


def recording(
    ask: Ask, models: Sequence[str] | None = None, evaluation: str | None = None
) -> dict[str, Any]:
    """All that the page needs, ready for JSON.

    `models` are bundles of the server, all of them where none is named; examples are chosen from
    the rows of an evaluation of the first one: that which is named, or the first.
    """
    recorder = Recorder(ask)
    served = _served(recorder, models)
    known = _evaluation(recorder, evaluation, served[0]["id"])
    examples, counts = [], {}
    for host in known["hosts"]:
        chosen, counts[host["tag"]] = chosen_rows(ask, known["name"], host["tag"])
        found = (_example(recorder, one, known, served) for one in chosen)
        examples += [one for one in found if one is not None]
    recorder.get(f"{evaluation_path(known['name'])}/passages?limit={NUM_FIRST}")
    return {
        "format": FORMAT,
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "bundles": [
                {"name": one["id"], "digest": one["interlingua"]["digest"]} for one in served
            ],
            "evaluation": {name: known[name] for name in ("name", "fingerprint", "split")},
            "rule": RULE,
            "num_rows": counts,
        },
        "examples": examples,
        "answers": recorder.answers,
    }


def _served(recorder: Recorder, names: Sequence[str] | None) -> list[Any]:
    answer = recorder.get("/v1/models")
    known = {one["id"]: one for one in answer["data"]}
    if missing := [name for name in names or () if name not in known]:
        raise ValueError(f"there is no bundle {missing[0]}; there are: {', '.join(known)}")
    found = [known[name] for name in names or known]
    recorder.note(asked_key("GET", "/v1/models"), {**answer, "data": found})
    return found


def _evaluation(recorder: Recorder, name: str | None, model: str) -> Any:
    answer = recorder.get("/v1/evaluations")
    of_model = {one["name"]: one for one in answer["data"] if one["bundle"] == model}
    if not of_model or (name is not None and name not in of_model):
        here = ", ".join(of_model) or "none"
        wanted = "no evaluation" if name is None else f"no evaluation {name}"
        raise ValueError(f"there is {wanted} of bundle {model}; of it there are: {here}")
    found = of_model[name] if name is not None else next(iter(of_model.values()))
    # The page takes its examples from all that it is given: of others nothing is recorded.
    recorder.note(asked_key("GET", "/v1/evaluations"), {"data": [found], "refused": []})
    return found


def _example(
    recorder: Recorder, chosen: Chosen, evaluation: Any, served: Sequence[Any]
) -> dict[str, Any] | None:
    """An example, as the first bundle explains it; None where its text cannot be read there."""
    shown = [
        Example(recorder, model, chosen.row, evaluation, is_first=model is served[0]).recorded()
        for model in served
    ]
    if shown[0] is None:
        return None
    return {
        **{name: chosen.row[name] for name in SHOWN},
        "evaluation": evaluation["name"],
        "model": served[0]["id"],
        "reasons": list(chosen.reasons),
        **packed(shown[0]),
    }
