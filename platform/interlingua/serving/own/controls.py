"""Systems that know less than an NLA, on the same activations, so that its numbers can be judged.

Each predicts an activation by a vector p: one that is there, or the AR's of a text. What the AV
writes of zeros, of the mean and of others is drawn once a call, however many rows have it.
h: raw activations [N, D] of a host; n(h): at the norm sqrt(D); K others that the bundle brings.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

import numpy as np

from interlingua.core.geometry import has_direction, near_one, rescale, unit
from interlingua.core.keyed import keyed_random
from interlingua.core.spans import words
from interlingua.serving.backend import HostCard, Limits, Refused
from interlingua.serving.http.limits import check_text
from interlingua.serving.http.requests import ControlsRequest
from interlingua.serving.http.streaming import ended, together
from interlingua.serving.http.wire import LITTLE_FP32
from interlingua.serving.own.answers import Control, ControlName
from interlingua.serving.own.draws import Draw
from interlingua.serving.own.numbers import numbers_of
from interlingua.serving.own.round_trips import rebuilt_of
from interlingua.serving.own.sources import TEXTS, Rows

NUM_WORDS = 32  # about as many as an explanation has
SAME_COSINE = 1 - 1e-6  # above it an activation that the bundle brings is the row's own
ZERO, MEAN = "zero", "mean"
DESCRIPTIONS: Mapping[ControlName, str] = MappingProxyType(
    {
        "constant": "The mean activation of the training passages, the same for every activation.",
        "zero_vector": "What the AV writes when it is shown zeros in place of an activation.",
        "mean_vector": "What the AV writes about the mean activation.",
        "shuffled": "What the AV writes about another passage, drawn at random.",
        "nearest_explanation": "What the AV writes about the most similar passage of the bundle.",
        "nearest_vector": "The activation of that most similar passage, without any text.",
        "passage_text": "The last words of the text itself, read by the AR as an explanation.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the systems beside one row need: others by their number, and words of its text."""

    shuffled: int | None
    nearest: int | None
    words: str | None


def check_passage(asked: ControlsRequest, limits: Limits) -> None:
    """Raises Refused for a passage beside a text, and for one that is empty or too long."""
    if asked.passage is None:
        return
    for field in TEXTS:
        if getattr(asked, field) is not None:
            raise Refused("passage", f"passage and {field} are both there; give one of them")
    check_text(asked.passage, "passage", limits.max_input_chars)


async def controls_of(draw: Draw, asked: ControlsRequest) -> list[list[Control]]:
    """The systems beside every row, in one order; those that the bundle has."""
    plans = await asyncio.to_thread(_plans, draw, asked)
    written = await _written(draw, plans, asked)
    rebuilt = await _rebuilt(draw, written, plans)
    predicted = [
        (row, *prediction)
        for row, plan in enumerate(plans)
        for prediction in _predictions(plan, draw.host, written, rebuilt)
    ]
    p_ND = np.stack([p_D for *_, p_D in predicted])
    h_ND = draw.rows.h_ND[[row for row, *_ in predicted]]
    numbers = await asyncio.to_thread(numbers_of, p_ND, h_ND, draw.host)
    found: list[list[Control]] = [[] for _ in plans]
    for (row, name, text, _), one in zip(predicted, numbers, strict=True):
        found[row].append(
            {"name": name, "description": DESCRIPTIONS[name], "explanation": text, **one}
        )
    return found


def last_words(text: str, max_chars: int) -> str | None:
    """The last words of a text, as many as fit; None where not one does."""
    # Of a long text no more than could fit, and a character by which a cut word is known as one.
    tail = text.rstrip()[-max_chars - 1 :]
    starts = [start for start, _ in words(tail)[-NUM_WORDS:] if len(tail) - start <= max_chars]
    return tail[starts[0] :] if starts else None


def _plans(draw: Draw, asked: ControlsRequest) -> list[_Plan]:
    host, h_ND = draw.host, draw.rows.h_ND
    others_KD = np.zeros((0, host.width)) if host.others_KD is None else host.others_KD
    is_own_NK = unit(h_ND) @ unit(others_KD).T > SAME_COSINE
    # Most of a plain cosine is what all activations of a host have in common.
    nearness_NK = unit(rescale(h_ND) - host.mean_D) @ unit(others_KD - host.mean_D).T
    most_chars = draw.backend.card.limits.max_description_chars
    plans = []
    for row, (h_D, is_own_K) in enumerate(zip(h_ND, is_own_NK, strict=True)):
        candidates = np.flatnonzero(~is_own_K).tolist()
        text = _text_before(draw.rows, row, host) if asked.passage is None else asked.passage
        plans.append(
            _Plan(
                shuffled=_drawn(asked.seed, h_D, candidates),
                nearest=max(candidates, key=nearness_NK[row].__getitem__, default=None),
                words=None if text is None else last_words(text, most_chars),
            )
        )
    return plans


def _drawn(seed: int, h_D: np.ndarray, candidates: Sequence[int]) -> int | None:
    """One of them, by the seed and the direction of the row: its place in a request is no part."""
    if not candidates:
        return None
    digits = near_one(h_D[None]).astype(LITTLE_FP32).tobytes()
    return keyed_random("shuffled", seed, sha256(digits).hexdigest()).choice(candidates)


def _text_before(rows: Rows, row: int, host: HostCard) -> str | None:
    """What a row's text has up to its token, and of a whole one what the host reads."""
    origin = rows.origins[row]
    if origin["text_index"] is None:
        return None
    reading, position = rows.readings[origin["text_index"]], origin["position"]
    if position is None:
        position = min(len(reading.tokens), host.max_tokens) - 1
    return reading.text[: reading.tokens[position].end]


async def _written(
    draw: Draw, plans: Sequence[_Plan], asked: ControlsRequest
) -> dict[str | int, str | None]:
    """The AV's texts: of zeros, of the mean where it is not zeros to the AV, of others."""
    host, backend = draw.host, draw.backend
    shown: dict[str | int, np.ndarray] = {}
    if not backend.card.is_centred and has_direction(host.mean_D[None])[0]:
        shown[MEAN] = host.mean_D
    for plan in plans:
        for place in (plan.shuffled, plan.nearest):
            if place is not None and host.others_KD is not None:
                shown[place] = host.others_KD[place]
    _check_queue(len(plans), 1 + len(shown), asked, backend.card.limits)
    options = draw.sampling
    works = [ended(backend.verbalize_zero(host.tag, 1, options, wants_partial=False), 1, 1)]
    if shown:
        h_ND = np.stack(list(shown.values())).astype(np.float32)
        drawn = backend.verbalize(host.tag, h_ND, options, wants_partial=False)
        works.append(ended(drawn, len(h_ND), 1))
    pieces = [piece for samples in await together(works) for (piece,) in samples]
    return {
        name: None if piece.done is None else piece.done.explanation
        for name, piece in zip([ZERO, *shown], pieces, strict=True)
    }


def _check_queue(num_rows: int, num_texts: int, asked: ControlsRequest, limits: Limits) -> None:
    if num_texts > limits.max_queued_rows:
        fields = ("activations", "positions", *TEXTS)
        raise Refused(
            next(field for field in fields if getattr(asked, field) is not None),
            f"the controls of {num_rows} activations are {num_texts} texts; the queue holds "
            f"{limits.max_queued_rows}: send fewer at a time",
        )


async def _rebuilt(
    draw: Draw, written: Mapping[str | int, str | None], plans: Sequence[_Plan]
) -> dict[str, np.ndarray]:
    """The vector of every text; without words of a passage that the AR does not read."""
    texts = list(dict.fromkeys(text for text in written.values() if text is not None))
    own = list(dict.fromkeys(plan.words for plan in plans if plan.words not in (None, *texts)))
    try:
        return await _vectors(draw, [*texts, *own])
    except Refused:
        if not own:
            raise
    # Words of any script and length may be more tokens than the AR reads: which, it alone knows.
    rebuilt = await _vectors(draw, texts)
    for text in own:
        try:
            rebuilt |= await _vectors(draw, [text])
        except Refused:
            continue  # the rows that need it have no such control
    return rebuilt


async def _vectors(draw: Draw, texts: Sequence[str | None]) -> dict[str, np.ndarray]:
    rebuilt_ND = await rebuilt_of(draw.backend, draw.host, texts)
    return {text: p_D for text, p_D in zip(texts, rebuilt_ND, strict=True) if text is not None}


def _predictions(
    plan: _Plan,
    host: HostCard,
    written: Mapping[str | int, str | None],
    rebuilt: Mapping[str, np.ndarray],
) -> Iterator[tuple[ControlName, str | None, np.ndarray]]:
    """Name, text and vector of the systems beside a row."""

    def of_text(name: ControlName, text: str | None) -> tuple[ControlName, str | None, np.ndarray]:
        return name, text, np.zeros(host.width) if text is None else rebuilt[text]

    yield "constant", None, host.mean_D
    yield of_text("zero_vector", written[ZERO])
    if MEAN in written:
        yield of_text("mean_vector", written[MEAN])
    if plan.shuffled is not None:
        yield of_text("shuffled", written[plan.shuffled])
    if plan.nearest is not None and host.others_KD is not None:
        yield of_text("nearest_explanation", written[plan.nearest])
        yield "nearest_vector", None, host.others_KD[plan.nearest]
    if plan.words is not None and plan.words in rebuilt:
        yield of_text("passage_text", plan.words)
