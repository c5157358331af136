"""Answers of a server, recorded: with them the page shows examples where nothing is served."""

from collections.abc import Iterator, Sequence
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
    examples: list[Example] = []
    shown: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for tag in (host["tag"] for host in known["hosts"]):
        chosen, counts[tag] = chosen_rows(ask, known["name"], tag)
        for one in chosen:
            own = _recorded(recorder, one, known, served)
            examples += own
            shown += _shown(own[0], one, known["name"], served[0]["id"])
    for example in examples:
        for other in filter(example.is_beside, examples):
            example.score(other)
    recorder.get(f"{evaluation_path(known['name'])}/passages?limit={NUM_FIRST}")
    made = _made(served, known) | {"num_rows": counts}
    return {"format": FORMAT, "made": made, "examples": shown, "answers": recorder.answers}


def _made(served: Sequence[Any], evaluation: Any) -> dict[str, Any]:
    """When, of what, and by which rule."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "bundles": [{"name": one["id"], "digest": one["interlingua"]["digest"]} for one in served],
        "evaluation": {name: evaluation[name] for name in ("name", "fingerprint", "split")},
        "rule": RULE,
    }


def _recorded(
    recorder: Recorder, chosen: Chosen, evaluation: Any, served: Sequence[Any]
) -> list[Example]:
    """A row as every bundle explains it."""
    found = [
        Example(recorder, model, chosen.row, evaluation, is_first=model is served[0])
        for model in served
    ]
    for example in found:
        example.record()
    return found


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


def _shown(
    example: Example, chosen: Chosen, evaluation: str, model: str
) -> Iterator[dict[str, Any]]:
    """What the page is given of an example; nothing where its text is not read."""
    if example.shown is not None:
        yield {
            **{name: chosen.row[name] for name in SHOWN},
            "evaluation": evaluation,
            "model": model,
            "reasons": list(chosen.reasons),
            **packed(example.shown),
        }
