"""What the answer of a chat model gives: an explanation, or the reason why it gives none.

Knows no model and no endpoint: whether an answer was cut off, or refused, whoever asked knows.
"""

import re
from enum import Enum

from interlingua.sources.teachers.explanation_file import CLOSING, OPENING
from interlingua.specs.teachers import TaggedAnswer, WholeAnswer

# Numbers, single letters and Roman numerals are marks only with a stop or a bracket behind them.
_COUNTED = r"(?:\d+|[a-zA-Z]|[ivxIVX]+)"
_LIST_MARK = re.compile(rf"(?:[-*+\u2022\u2013\u2014]|{_COUNTED}[.)]|\({_COUNTED}\))(?:\s+|$)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_BEGIN_THOUGHT, _END_THOUGHT = "<think>", "</think>"


class Unusable(Enum):
    """Why an answer has no explanation; the value is what a record counts it as."""

    EMPTY = "num_empty"
    MALFORMED = "num_malformed"


def explanation_in_answer(text: str, answer: WholeAnswer | TaggedAnswer) -> str | Unusable:
    """The explanation in the text of an answer, cleaned, or why there is none.

    Thoughts before the answer are no part of it. A text with the tags of an AV's explanation is
    malformed: the AV would learn to end there.
    """
    # Half of a surrogate pair can be answered, and no file can hold it.
    whole = text.encode(errors="replace").decode().replace("\r\n", "\n")
    thought, closed, behind = whole.partition(_END_THOUGHT)
    if not closed and thought.lstrip().startswith(_BEGIN_THOUGHT):
        return Unusable.MALFORMED
    found = (behind if closed else whole).strip()
    if not found:
        return Unusable.EMPTY
    if isinstance(answer, TaggedAnswer):
        return _tagged(found, answer)
    return _untagged(found)


def _tagged(text: str, answer: TaggedAnswer) -> str | Unusable:
    # Both tags: an answer that was cut off is half an explanation.
    _, opened, rest = text.partition(f"<{answer.tag}>")
    inside, closed, _ = rest.partition(f"</{answer.tag}>")
    if not (opened and closed):
        return Unusable.MALFORMED
    paragraphs = [line for line in map(_plain, inside.split("\n")) if line]
    if not paragraphs:
        return Unusable.EMPTY
    if len(paragraphs) < answer.least_paragraphs:
        return Unusable.MALFORMED
    return _untagged("\n\n".join(paragraphs))


def _plain(line: str) -> str:
    """A line without its list mark, and without the marks of what is bold at its beginning."""
    stripped = line.strip()
    if mark := _LIST_MARK.match(stripped):
        stripped = stripped[mark.end() :]
    if bold := _BOLD.match(stripped):
        stripped = f"{bold.group(1)}{stripped[bold.end() :]}"
    return stripped.strip()


def _untagged(text: str) -> str | Unusable:
    return Unusable.MALFORMED if OPENING in text or CLOSING in text else text
