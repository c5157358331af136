"""What an NLA returns, as a notebook draws it: HTML without scripts, in the page's own colours.

Knows no model. Every text is escaped; what is marked is underlined, so that light and dark read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from interlingua.core.spans import Span

MOST_ROWS = 20  # of a table; more are counted
AROUND = 100  # characters of a text on each side of what is marked
CELL = "text-align:left;vertical-align:top;padding:.3em .6em;border-top:1px solid;max-width:34em"
HEAD = "text-align:left;padding:.3em .6em"
MARK = "background:none;color:inherit;border-bottom:.2em solid;font-weight:bold"
NOTE = "font-size:85%;opacity:.75"
NOTHING = "no explanation"  # the AV did not close its tag


@dataclass(frozen=True, slots=True)
class Place:
    """Where an activation was read: a text, and the characters of what was read in it.

    `span` None: it is not known which, as of a tokenizer that does not say.
    """

    text: str
    span: Span | None = None

    def html(self) -> str:
        """The text with what was read marked; far from it, it is cut."""
        return marked_html(self.text, [] if self.span is None else [self.span])


def marked_html(text: str, spans: Sequence[Span]) -> str:
    """A text with spans of its characters marked; the beginning of it where there are none."""
    ordered = sorted(spans) or [(0, 0)]
    start, end = max(0, ordered[0][0] - AROUND), min(len(text), ordered[-1][1] + AROUND)
    parts, at = ["" if start == 0 else "... "], start
    for first, last in ordered:
        if last > first >= at:
            marked = f'<mark style="{MARK}">{escape(text[first:last])}</mark>'
            parts += [escape(text[at:first]), marked]
            at = last
    return "".join([*parts, escape(text[at:end]), "" if end == len(text) else " ..."])


def explanation_html(explanation: str | None, *, is_unlike: bool) -> str:
    """An explanation, with a warning where its activation is unlike what was learned from."""
    text = f'<span style="{NOTE}">{NOTHING}</span>' if explanation is None else escape(explanation)
    warning = f'<br><strong style="{NOTE}">unlike what this NLA learned from</strong>'
    return text + (warning if is_unlike else "")


def table_html(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already, under a caption that is text."""
    every = list(rows)
    heads = "".join(f'<th style="{HEAD}">{escape(name)}</th>' for name in head)
    lines = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in row) + "</tr>"
        for row in every[:MOST_ROWS]
    )
    left = len(every) - MOST_ROWS
    more = f'<div style="{NOTE}">and {left} more rows</div>' if left > 0 else ""
    return (
        f'<div><div style="{NOTE}">{escape(caption)}</div><table style="color:inherit">'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>{more}</div>"
    )


def counted_words(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
