"""Tokens of a prompt as clients see them: their characters, and the message that they are of."""

from collections.abc import Sequence
from typing import Any

from interlingua.core.spans import Span
from interlingua.models.hosts.sites import Encoded
from interlingua.serving.backend import Token
from interlingua.serving.engines.chat import Part, Rendered


def tokens_of(prompt: Rendered, encoded: Encoded, tokenizer: Any) -> tuple[Token, ...]:
    """The tokens; several that are bytes of one character are grouped, each with its text."""
    ids = encoded.ids
    offsets = encoded.offsets or [(0, 0)] * len(ids)
    made: list[Token] = []
    behind = 0  # the last character of the run before
    for start, end in _runs(offsets):
        first, last = offsets[start][0], offsets[end - 1][1]
        if last == first:  # of a special token they are (0, 0), wherever it stands
            first = last = behind
        behind = last
        part = _part_at(prompt.parts, first) if last > first else None
        message = None if part is None or part.message_index is None else part.message_index
        for place in range(start, end):
            # A special token has no characters of its own.
            text = prompt.text[first:last] or str(tokenizer.decode([ids[place]]))
            made.append(
                Token(
                    text=text,
                    id=ids[place],
                    position=place,
                    start=first,
                    end=last,
                    fragment_index=place - start,
                    fragment_count=end - start,
                    role=None if message is None else prompt.messages[message].role,
                    section=None if part is None else part.section,
                    channel=None if message is None else prompt.messages[message].channel,
                    message_index=message,
                )
            )
    return tuple(made)


def _runs(offsets: Sequence[Span]) -> list[tuple[int, int]]:
    """Tokens whose characters overlap, as first and behind the last."""
    runs: list[tuple[int, int]] = []
    for place, (start, end) in enumerate(offsets):
        if runs and start < offsets[place - 1][1] and end > start:
            runs[-1] = runs[-1][0], place + 1
        else:
            runs.append((place, place + 1))
    return runs


def _part_at(parts: Sequence[Part], character: int) -> Part | None:
    return next((one for one in parts if one.span[0] <= character < one.span[1]), None)
