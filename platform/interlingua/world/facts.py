"""The latent facts of passage i, drawn by a keyed generator. Knows no sentence."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from interlingua.core.keyed import keyed_random
from interlingua.specs.world import WorldSpec
from interlingua.world import lexicon

# What a teacher may say of a passage. Weather is said once in a passage and hardly survives
# pooling: a verbalizer that asserts it is guessing, which is what the column is there to show.
SAYABLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "language": lexicon.LANGUAGES,
        "topic": lexicon.TOPICS,
        "style": lexicon.STYLES,
        "mood": lexicon.MOODS,
        "role": lexicon.ROLES,
        "object": lexicon.OBJECTS,
        "weather": lexicon.WEATHERS,
    }
)
CATEGORICAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {**SAYABLE, "person": lexicon.PERSONS, "place": lexicon.PLACES}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`first + second`, then `- loss` where there is a second step."""

    first: int
    second: int
    loss: int | None

    @property
    def answer(self) -> int:
        """The number after `####`."""
        return self.first + self.second - (self.loss or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is true of one passage."""

    values: Mapping[str, str]
    problem: Problem | None
    has_quote: bool

    def as_strings(self) -> dict[str, str]:
        """Every fact as text, for storage and scoring; no problem is the empty answer."""
        answer = "" if self.problem is None else str(self.problem.answer)
        return {**self.values, "answer": answer, "quote": "yes" if self.has_quote else "no"}


def facts_of(index: int, world: WorldSpec) -> Facts:
    """The facts of passage `index`; the same on every machine and in any order."""
    rng = keyed_random("facts", world.seed, index)
    values = {name: rng.choice(choices) for name, choices in CATEGORICAL.items()}
    is_second = rng.random() < world.second_language_share
    # The language above was drawn evenly, and is drawn again by its share. Every fact that follows
    # depends on the number of draws before it, so that none may be left out.
    values["language"] = lexicon.LANGUAGES[1] if is_second else lexicon.LANGUAGES[0]
    problem = _problem(rng, world.largest_number) if rng.random() < world.problem_share else None
    return Facts(values=values, problem=problem, has_quote=rng.random() < world.quote_share)


def _problem(rng: random.Random, largest: int) -> Problem:
    first, second = rng.randint(1, largest), rng.randint(1, largest)
    loss = rng.randint(1, first + second - 1) if rng.random() < 0.5 else None
    return Problem(first=first, second=second, loss=loss)
