"""What an endpoint answered: a text, why it ended there, and what it took. Knows no request."""

import json
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, NamedTuple

from interlingua.sources.answers import Unusable, explanation_in_answer
from interlingua.specs.teachers import Prompt

# Of UTF-8, in a token: nearly every tokenizer needs more of nearly every text, so that an estimate
# is too high rather than too low.
BYTES_PER_TOKEN = 2
TEMPLATE_TOKENS = 16  # that a chat template puts around the messages
SHOWN_CHARACTERS = 4000  # of a body that could not be read

REFUSED, CUT_OFF, MALFORMED = "num_refused", "num_cut_off", Unusable.MALFORMED.value


class Usage(NamedTuple):
    """Tokens of a prompt and of its answer."""

    prompt: int
    answer: int

    def plus(self, other: "Usage") -> "Usage":
        """The sum of both."""
        return Usage(self.prompt + other.prompt, self.answer + other.answer)

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt + self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, usable or not: it is paid."""

    text: str | None
    refusal: str | None
    finish_reason: str | None
    model: str | None  # as the endpoint names it
    usage: Usage
    is_estimated: bool  # the endpoint did not say what was used
    is_readable: bool  # else `text` is the beginning of what came

    def as_jsonable(self) -> dict[str, Any]:
        """The answer for a line of a log."""
        return asdict(self) | {"usage": list(self.usage)}

    @classmethod
    def from_jsonable(cls, values: dict[str, Any]) -> "Answer":
        """The answer of a line of a log."""
        return cls(**{**values, "usage": Usage(*values["usage"])})

    def explanation(self, prompt: Prompt) -> tuple[str | None, str | None]:
        """The explanation, or what a record counts the answer as."""
        if not self.is_readable:
            return None, MALFORMED
        if self.refusal or self.finish_reason == "content_filter":
            return None, REFUSED
        if self.finish_reason == "length":
            return None, CUT_OFF
        found = explanation_in_answer(self.text or "", prompt.answer)
        return (None, found.value) if isinstance(found, Unusable) else (found, None)


def messages_of(prompt: Prompt, text: str) -> list[dict[str, str]]:
    """What is asked about a text."""
    # Not `format`: other braces in a prompt are the user's own.
    asked = [{"role": "user", "content": prompt.user.replace("{text}", text)}]
    if prompt.system is not None:
        asked.insert(0, {"role": "system", "content": prompt.system})
    return asked


def worst_usage(prompt: Prompt, text: str) -> Usage:
    """What a request may take: its prompt, estimated, and the longest answer."""
    contents = "".join(message["content"] for message in messages_of(prompt, text))
    return Usage(TEMPLATE_TOKENS + _estimated_tokens(contents), prompt.max_new_tokens)


def answer_in(body: str, worst: Usage) -> Answer | None:
    """The answer in the body of a response with status 200; None of one that reports an error."""
    try:
        found = _mapping(json.loads(body))
    except ValueError:  # half of it came
        found = {}
    if "choices" not in found:
        return None if found.get("error") else _unreadable(body, worst)
    choices = found["choices"]
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    if not isinstance(choice.get("message"), dict):
        return _unreadable(body, worst)
    message = _mapping(choice["message"])
    text, refusal = _text(message.get("content")), _text(message.get("refusal"))
    usage = _usage(found.get("usage"))
    return Answer(
        text=text,
        refusal=refusal,
        finish_reason=_text(choice.get("finish_reason")),
        model=_text(found.get("model")),
        usage=usage or Usage(worst.prompt, _estimated_tokens((text or "") + (refusal or ""))),
        is_estimated=usage is None,
        is_readable=True,
    )


def _unreadable(body: str, worst: Usage) -> Answer:
    return Answer(
        text=body[:SHOWN_CHARACTERS],
        refusal=None,
        finish_reason=None,
        model=None,
        usage=worst,
        is_estimated=True,
        is_readable=False,
    )


def _usage(value: object) -> Usage | None:
    names = ("prompt_tokens", "completion_tokens")
    prompt, answer = (_count(_mapping(value).get(name)) for name in names)
    if prompt is None or answer is None:
        return None
    # Thoughts are paid, and some endpoints count them in the total alone.
    total = _count(_mapping(value).get("total_tokens")) or 0
    return Usage(prompt, max(answer, total - prompt))


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None  # type: ignore[return-value]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _estimated_tokens(text: str) -> int:
    return ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)
