"""How SGLang and vLLM ask for texts, in terms of ours. Knows no route.

What changes a text is handled, or refused by its name; it is never left out in silence.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Limits, Piece, Refused
from interlingua.serving.http.requests import Text
from interlingua.serving.protocols.shared import CLOSING, check_most, closing, sampling_of

MAX_STOPS, MAX_STOP_CHARS = 32, 256  # they are sought in every text at every step
HALF = "\ufffd"  # a character of which more tokens may come
Stop = Annotated[Text | list[Text] | None, Field(description="The text ends before any of these.")]
Heat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# Values that ask for nothing: a client may spell out what is so anyway.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "top_p": (1,),
    "top_k": (-1, 0, 1 << 30),
    "min_p": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "min_new_tokens": (0,),
    "min_tokens": (0,),
    "ignore_eos": (False,),
    "spaces_between_special_tokens": (True,),
    "use_beam_search": (False,),
    "logit_bias": ({},),
    "stop_token_ids": ([],),
    "bad_words": ([],),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "return_logprob": (False,),
    "logprob_start_len": (-1, 0),
    "top_logprobs_num": (0,),
    "return_hidden_states": (False,),
    "response_format": ({"type": "text"},),
    "custom_params": ({},),
    "add_generation_prompt": (True,),
    "continue_final_message": (False,),
    "chat_template_kwargs": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
}
# They change no text.
WITHOUT_EFFECT = {
    *("user", "rid", "request_id", "session_id", "priority", "cache_salt", "metadata", "store"),
    *("service_tier", "safety_identifier", "log_metrics", "no_logs", "stream_interval"),
    *("add_special_tokens", "return_text_in_logprobs", "parallel_tool_calls"),
}


class Asked(BaseModel):
    """Fields that both servers have; any other is in `model_extra`."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    temperature: Heat | None = None
    stop: Stop = None
    skip_special_tokens: bool | None = Field(
        default=None, description="false: tags may be special tokens, and a text has its tags."
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """Texts before which an answer ends, and whether it keeps the one that ended it."""

    stops: tuple[str, ...]
    keeps_stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A text so far; `reason` is there once it ended: stop | length."""

    text: str
    reason: str | None
    matched: str | None  # the text that ended it
    num_tokens: int | None


def refuse_unknown(extra: Mapping[str, Any] | None, prefix: str = "") -> None:
    """Refused by the name of the first option that is neither neutral nor without effect."""
    for name, value in (extra or {}).items():
        is_neutral = value is None or any(value == one for one in NEUTRAL.get(name, ()))
        if is_neutral or name in WITHOUT_EFFECT:
            continue
        field = f"{prefix}{name}".encode("ascii", "backslashreplace").decode()[:80]
        raise Refused(field, f"{field} is not offered by this server; leave it out")


def sampling_asked(
    asked: Asked, max_new_tokens: int, seed: int | None, limits: Limits, *, field: str
) -> Sampling:
    """One sample, at the temperature 1 where none is given, as both servers have it."""
    check_most(field, max_new_tokens, limits.max_new_tokens, "tokens")
    if asked.skip_special_tokens:
        raise Refused(
            "skip_special_tokens",
            "skip_special_tokens must be false or left out: the tags of an explanation may be "
            "special tokens; those that end a text are never part of it",
        )
    temperature = 1.0 if asked.temperature is None else asked.temperature
    return sampling_of(temperature, max_new_tokens, seed)


def ending_asked(stop: str | Sequence[str] | None, *, keeps_stop: bool) -> Ending:
    """Where the texts end; `</explanation>` always ends one, and stays."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    check_most("stop", len(stops), MAX_STOPS, "texts")
    check_most("stop", max(map(len, stops), default=0), MAX_STOP_CHARS, "characters")
    if not all(stops):
        raise Refused("stop", "stop holds an empty text, which would end every text at once")
    return Ending(stops, keeps_stop)


async def drawn(
    pieces: AsyncIterator[Piece], ending: Ending, names: Mapping[str, str]
) -> AsyncGenerator[Drawn]:
    """A text as it becomes longer; what follows a stop is not drawn.

    `names` are what a client calls the fields that a backend refuses by its own names.
    """
    async with closing(pieces) as every:
        try:
            async for piece in every:
                one = _drawn(piece, ending)
                yield one
                if one.reason is not None:
                    return
        except Refused as error:
            raise Refused(names.get(error.field, error.field), str(error)) from error


def _drawn(piece: Piece, ending: Ending) -> Drawn:
    text, reason, matched = piece.text, None, None
    found = [(text.find(stop), stop) for stop in ending.stops if stop in text]
    if found:
        reason, (start, matched) = "stop", min(found)
        text = text[: start + len(matched) if ending.keeps_stop else start]
    elif piece.done is None:
        text = text.rstrip(HALF)
        text = text[: len(text) - max((_overlap(text, stop) for stop in ending.stops), default=0)]
    elif piece.is_cut:
        reason = "length"
    else:
        reason, matched = "stop", CLOSING if CLOSING in text else None
    return Drawn(text=text, reason=reason, matched=matched, num_tokens=piece.num_tokens)


def _overlap(text: str, stop: str) -> int:
    """How much of the text's end may be the beginning of a stop, which is not sent before it is."""
    return max(
        (size for size in range(1, len(stop)) if text.endswith(stop[:size])),
        default=0,
    )
