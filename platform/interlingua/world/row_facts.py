"""The facts that are true of a row: those of its passage, or those that its sentence mentions."""

from collections.abc import Mapping

from interlingua.core.spans import Span, sentences
from interlingua.store.rows.passages import Passage
from interlingua.world.facts import SAYABLE

SHOWN_BY_ANY_WORD = "language"


def sayable(facts: Mapping[str, str]) -> dict[str, str]:
    """Those of the facts that an explanation may name."""
    return {name: facts[name] for name in SAYABLE if facts.get(name)}


def facts_in(passage: Passage, span: Span) -> dict[str, str]:
    """The facts that are mentioned within a span, and the language, which any word shows."""
    start, end = span
    mentioned = {
        mention.fact
        for mention in passage.mentions
        if start <= mention.start and mention.end <= end
    }
    return {
        name: value
        for name, value in passage.facts.items()
        if name in mentioned or name == SHOWN_BY_ANY_WORD
    }


def facts_of_row(passage: Passage, position: int, *, is_span: bool) -> Mapping[str, str]:
    """The facts of the row with this position in its key; a span's is where it begins."""
    return facts_in(passage, sentence_at(passage, position)) if is_span else passage.facts


def sentence_at(passage: Passage, position: int) -> Span:
    """The sentence that begins at this character."""
    for span in sentences(passage.text):
        if span[0] == position:
            return span
    raise ValueError(f"passage {passage.passage_id} has no sentence at character {position}")
