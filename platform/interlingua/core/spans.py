"""Sentences and words of a text as spans of characters. Knows no tokenizer and no grammar."""

import re
from collections.abc import Iterator

Span = tuple[int, int]  # of characters, the second not included

# A mark that ends a sentence with the quotes and brackets that close behind it, before a space.
_END = re.compile(r"""[.!?]+["')\]]*(?=\s|$)""")

# Han and kana are written without spaces: each character is a word there.
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{UNSPACED}][^\w\s]*|[^\s{UNSPACED}]+")


def sentences(text: str) -> list[Span]:
    """The spans of the sentences of a text, without the space between them.

    A rule of marks alone: "Dr. Who" is two. What follows the last mark is a sentence, too.
    """
    return [(start, end) for start, end in _between(text) if start < end]


def sentence_at(text: str, start: int) -> Span:
    """The sentence that begins at this character."""
    for span in sentences(text):
        if span[0] == start:
            return span
    raise ValueError(f"no sentence begins at character {start} of a text of {len(text)} characters")


def words(text: str, span: Span | None = None) -> list[Span]:
    """The spans of the words of a text, or of some characters of it, each with its punctuation.

    What stands between spaces is a word; of Chinese and Japanese a character is.
    """
    start, end = span or (0, len(text))
    return [found.span() for found in _WORD.finditer(text, start, end)]


def num_words(text: str) -> int:
    """How many words a text has."""
    return len(_WORD.findall(text))


def tokens_of(span: Span, offsets: list[Span]) -> list[int]:
    """The tokens of which at least one character lies in the span, by their offsets.

    Special tokens have no characters, so that none of them belongs to a span.
    """
    first, last = span
    inside = (start < min(end, last) and first < end for start, end in offsets)
    return [index for index, is_inside in enumerate(inside) if is_inside]


def _between(text: str) -> Iterator[Span]:
    start = 0
    for found in _END.finditer(text):
        yield start, found.end()
        start = found.end()
        while start < len(text) and text[start].isspace():
            start += 1
    yield start, len(text.rstrip())
