"""Explanations from facts, and facts from any text. Knows no passage's wording.

As real teachers do, ours says some of what is true, in an order and wording that vary: which
facts are worth saying is left for reinforcement learning to find.
"""

import random
import re
from collections.abc import Mapping
from types import MappingProxyType

from interlingua.core.keyed import keyed_random
from interlingua.core.truth import Assertions
from interlingua.specs.world import WorldTeacher
from interlingua.world.facts import SAYABLE

WORDINGS = MappingProxyType(
    {
        "language": ("in {}.", "language {}.", "written in {}."),
        "topic": ("about a {}.", "topic {}.", "it concerns the {}."),
        "style": ("a {}.", "form {}.", "reads like a {}."),
        "mood": ("{} mood.", "sounds {}.", "the tone is {}."),
        "role": ("a {} appears.", "meet the {}.", "there works a {}."),
        "object": ("with a {}.", "object {}.", "we see a {}."),
        "weather": ("weather {}.", "outside {}.", "there is {}."),
    }
)
# What an explanation of one token ends with: where a model stands is most of its activation there.
LAST_WORDINGS = ("the word is {}.", "last word {}.", "now at {}.")
_LAST_CLAUSE = re.compile(r"(?:the word is|last word|now at) (\S+)\.\s*$")
_LAST_WORD = re.compile(r"\w+|[^\w\s]")
# Every value belongs to one fact, so that a word alone shows which fact a text asserts.
_FACT_OF_VALUE = MappingProxyType(
    {value: fact for fact, values in SAYABLE.items() for value in values}
)
_WORD = re.compile(r"[^\W\d_]+")
_CLAUSES = MappingProxyType(
    {
        wording.format(value).rstrip(".").casefold(): (fact, value)
        for fact, wordings in WORDINGS.items()
        for wording in wordings
        for value in SAYABLE[fact]
    }
)


def explanation_of(
    values: Mapping[str, str], passage_id: str, teacher: WorldTeacher, sample: int
) -> str:
    """Sample `sample` of what the teacher says of a passage: a keyed subset in a keyed order."""
    rng = keyed_random("teacher", teacher.seed, passage_id, sample)
    facts = rng.sample(list(SAYABLE), rng.randint(teacher.min_facts, teacher.max_facts))
    return explanation_from(facts, values, rng, teacher.max_words)


def explanation_from(
    facts: list[str], values: Mapping[str, str], rng: random.Random, max_words: int
) -> str:
    """These facts in this order, each in one of its wordings, as far as the budget reaches."""
    said: list[str] = []
    for fact in facts:
        clause = rng.choice(WORDINGS[fact]).format(values[fact])
        # A clause that is too long is left out, and a shorter one behind it may still fit.
        if len(" ".join([*said, clause]).split()) <= max_words:
            said.append(clause)
    return " ".join(said)


def explanation_at(
    facts: list[str], values: Mapping[str, str], prefix: str, rng: random.Random, max_words: int
) -> str:
    """These facts, then the last word of the text so far, or the piece of it that is there."""
    words = _LAST_WORD.findall(prefix)
    last = rng.choice(LAST_WORDINGS).format(words[-1] if words else prefix.strip())
    room = max_words - len(last.split())
    return f"{explanation_from(facts, values, rng, room)} {last}".strip()


def last_word_of(text: str) -> str | None:
    """The word that an explanation of one token ends with."""
    found = _LAST_CLAUSE.search(text)
    return found.group(1) if found else None


def facts_asserted(text: str) -> Assertions:
    """The facts that any text asserts: every value word counts, whatever stands around it.

    The word at which an explanation of one token ends is no fact of the passage.
    """
    # First: the last word of a prefix may be a value, as in "the word is rain.".
    text = _LAST_CLAUSE.sub("", text)
    found = [
        (_FACT_OF_VALUE[word], word)
        for word in (match.group().casefold() for match in _WORD.finditer(text))
        if word in _FACT_OF_VALUE
    ]
    clauses = [clause.strip().casefold() for clause in text.split(".") if clause.strip()]
    return Assertions(
        facts=tuple(dict.fromkeys(found)),
        num_clauses=len(clauses),
        num_known_clauses=sum(clause in _CLAUSES for clause in clauses),
    )
