"""The texts by which the page doubts an explanation of several sentences.

The rules are those of serve/explorer/js: text.js and doubt_texts.js. Knows no score.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from interlingua.core.spans import sentences

MOST_PARTS, MOST_SWAPS = 24, 24  # of more parts the page joins some, of more swaps it tries some


def doubted(explanation: str | None) -> Iterator[str]:
    """The whole text, what is left without each sentence, and the beginnings."""
    if explanation is None or not explanation.strip():
        return
    yield explanation
    spans = sentences(explanation)
    if not 1 < len(spans) <= MOST_PARTS:
        return
    for start, end in spans:
        rest = (explanation[:start] + explanation[end:].lstrip()).strip()
        yield from [rest] if rest else []
    for _, end in spans[:-1]:
        yield explanation[:end]


def false_swaps(
    explanation: str | None, facts: Sequence[str], kinds: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The text with the value of each claim that holds made one that does not.

    Facts are `kind=value`; a sentence with more swaps than the page tries gives none.
    """
    spans = sentences(explanation or "")
    if explanation is None or not 1 < len(spans) <= MOST_PARTS:
        return
    held = dict(fact.split("=", 1) for fact in facts)
    for start, end in spans:
        part = explanation[start:end]
        found = [
            _swapped(part, value, other)
            for kind, value in held.items()
            for other in kinds.get(kind, ())
            if re.search(_word(value), part, re.I) and other.lower() != value.lower()
        ]
        if len(found) <= MOST_SWAPS:
            yield from (explanation[:start] + one + explanation[end:] for one in found)


def _swapped(part: str, value: str, other: str) -> str:
    return re.sub(_word(value), lambda found: _cased(other, found[0]), part, flags=re.I)


def _word(value: str) -> str:
    """A value as a word of its own."""
    words = r"\s+".join(map(re.escape, value.split()))
    return rf"(?<![^\W_]){words}(?![^\W_])"


def _cased(text: str, like: str) -> str:
    return text if like[0] == like[0].lower() else text[0].upper() + text[1:]
