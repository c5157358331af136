"""Requests against the limits of a bundle: what its models are asked, or a field that is wrong."""

from collections.abc import Sequence
from typing import Literal

from interlingua.models.bundle.system import Sampling
from interlingua.serving.backend import Limits, Message, Prompt, Refused
from interlingua.serving.http.requests import (
    DEFAULT,
    LAST_ID,
    Explains,
    Reads,
    Tokenizes,
    Verbalizes,
)

# In fp32 logits cannot be divided by a temperature near 0; the text would be the greedy one.
COLDEST = 1e-6


def prompts_of(request: Tokenizes, limits: Limits) -> list[Prompt]:
    """What a host is to read: one prompt, or one a text."""
    if request.texts is not None:
        check_texts(request.texts, "texts", limits.max_input_chars, limits)
        return [Prompt(text=text) for text in request.texts]
    if request.messages is None:
        assert request.text is not None
        check_text(request.text, "text", limits.max_input_chars)
        return [Prompt(text=request.text)]
    if not request.messages:
        raise Refused("messages", "messages is empty; give at least one")
    num_chars = sum(len(message.content) for message in request.messages)
    if num_chars > limits.max_input_chars:
        raise Refused(
            "messages",
            f"messages hold {num_chars} characters; at most {limits.max_input_chars} are read",
        )
    return [
        Prompt(
            messages=tuple(Message(**message.model_dump()) for message in request.messages),
            add_generation_prompt=request.add_generation_prompt,
            continue_final_message=request.continue_final_message,
            enable_thinking=request.enable_thinking,
        )
    ]


def positions_of(
    request: Reads, num_prompts: int, limits: Limits
) -> list[list[int] | Literal["all"] | None]:
    """The positions of every prompt; None: the whole of it."""
    given = request.positions
    if given is None:
        return [None] * num_prompts
    if given == "all":
        return ["all"] * num_prompts
    if not isinstance(given, list):
        raise Refused("positions", 'positions must be null, "all" or a list of whole numbers')
    if request.texts is None:
        return [_positions(given, "positions", limits)]
    if len(given) != num_prompts:
        raise Refused(
            "positions",
            f"positions has {len(given)} lists for {num_prompts} texts; give one for each",
        )
    return [
        _positions(places, f"positions[{number}]", limits) for number, places in enumerate(given)
    ]


def sampling_of(request: Verbalizes, limits: Limits) -> Sampling:
    """How the texts of an activation are drawn."""
    n = request.n
    if n > limits.max_samples:
        raise Refused("n", f"n is {n}; an activation has at most {limits.max_samples} texts")
    if n > 1 and request.temperature == 0:
        raise Refused("n", f"n is {n} at temperature 0; greedy text is one: set a temperature")
    if 0 < request.temperature < COLDEST:
        raise Refused(
            "temperature", f"temperature is {request.temperature}; give 0, or at least {COLDEST}"
        )
    _check_length(request.prefix, "prefix", limits.max_description_chars)
    return Sampling(
        n=n,
        temperature=request.temperature,
        seed=request.seed,
        max_new_tokens=_max_new_tokens(request, limits),
        banned=tuple(request.banned),
        prefix=request.prefix,
        keys=tuple(request.keys),
    )


def greedy_sampling_of(request: Explains, limits: Limits) -> Sampling:
    """One text an activation, the likeliest token at a time."""
    return Sampling(seed=request.seed, max_new_tokens=_max_new_tokens(request, limits))


def check_work(num_rows: int, sampling: Sampling, limits: Limits) -> None:
    """Raises Refused where keys are of other rows, or rows more than the queue has places."""
    try:
        sampling.keys_of(num_rows)
    except ValueError as error:
        raise Refused("keys", str(error)) from error
    samples = sampling.n
    if num_rows * samples > limits.max_queued_rows:
        raise Refused(
            "n",
            f"{num_rows} activations with {samples} texts each are {num_rows * samples} texts; the "
            f"queue holds {limits.max_queued_rows}: send fewer at a time",
        )


def check_texts(texts: Sequence[str], field: str, max_chars: int, limits: Limits) -> None:
    """Raises Refused where texts are none or too many, or one is empty or too long."""
    if not texts:
        raise Refused(field, f"{field} is empty; give at least one text")
    if len(texts) > limits.max_rows:
        raise Refused(
            field, f"{field} has {len(texts)} texts; one request has at most {limits.max_rows}"
        )
    for place, text in enumerate(texts):
        check_text(text, f"{field}[{place}]", max_chars)


def _max_new_tokens(request: Explains, limits: Limits) -> int:
    asked = request.max_new_tokens
    if asked is None:
        return min(DEFAULT.max_new_tokens, limits.max_new_tokens)
    if asked > limits.max_new_tokens:
        raise Refused(
            "max_new_tokens",
            f"max_new_tokens is {asked}; a text has at most {limits.max_new_tokens}",
        )
    return asked


def check_text(text: str, field: str, max_chars: int) -> None:
    """Raises Refused where a text is empty or too long."""
    if not text:
        raise Refused(field, f"{field} is empty")
    _check_length(text, field, max_chars)


def _check_length(text: str, field: str, max_chars: int) -> None:
    if len(text) > max_chars:
        raise Refused(field, f"{field} has {len(text)} characters; at most {max_chars} are read")


def _positions(given: object, field: str, limits: Limits) -> list[int]:
    if not isinstance(given, list) or not set(map(type, given)) <= {int}:
        raise Refused(field, f"{field} must be a list of whole numbers")
    if not given:
        raise Refused(field, f"{field} is empty; without it a text is read as a whole")
    if len(given) > limits.max_positions:
        raise Refused(
            field, f"{field} names {len(given)} tokens; a text has at most {limits.max_positions}"
        )
    if max(map(abs, given)) > LAST_ID:
        raise Refused(field, f"{field} holds a position of more than 31 bits; no text is so long")
    return given
