"""The terms of art of a report, each with its meaning: tooltips and glossary are made of these.

The table is `terms.json` beside this file. A term is found in a text by its name or by another
spelling, in whole words. Knows no page.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TERMS_NAME = "terms.json"


@dataclass(frozen=True, slots=True)
class Term:
    """A term with its meaning, and other words for the same."""

    name: str
    meaning: str
    also: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name as an identifier of a page."""
        return "term-" + re.sub(r"[^\w]+", "-", self.name).strip("-")


@cache
def terms_by_group() -> Mapping[str, tuple[Term, ...]]:
    """Every term, under the title of its group."""
    text = files("interlingua.report.page").joinpath(TERMS_NAME).read_text()
    return {
        group: tuple(Term(one["name"], one["meaning"], tuple(one.get("also", ()))) for one in terms)
        for group, terms in json.loads(text).items()
    }


@cache
def terms_by_spelling() -> Mapping[str, Term]:
    """Every term by its name and by every other word for it."""
    return {
        spelling: term
        for terms in terms_by_group().values()
        for term in terms
        for spelling in (term.name, *term.also)
    }


@cache
def _pattern() -> re.Pattern[str]:
    # The longest first: a "constant vector" is not a "constant".
    spellings = sorted(terms_by_spelling(), key=len, reverse=True)
    # After a dot, a slash or a hyphen it is part of a name.
    return re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, spellings))})(?![\w/-])")


def terms_in(text: str) -> Iterator[tuple[str, Term | None]]:
    """The text in pieces, each with the term that it is, if it is one."""
    for number, piece in enumerate(_pattern().split(text)):
        if piece:
            yield piece, terms_by_spelling()[piece] if number % 2 else None
