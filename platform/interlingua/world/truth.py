"""What is true of the world's passages, and how texts say it."""

from collections.abc import Mapping, Sequence

from interlingua.core.keyed import keyed_random
from interlingua.core.spans import Span, sentence_at
from interlingua.core.truth import Assertions
from interlingua.store.rows.passages import Passage
from interlingua.world.facts import SAYABLE
from interlingua.world.teacher import explanation_from, facts_asserted

SHOWN_BY_ANY_WORD = "language"


class WorldTruth:
    """The facts that passages were made from."""

    values: Mapping[str, tuple[str, ...]] = SAYABLE
    general: tuple[str, ...] = (SHOWN_BY_ANY_WORD, "topic")
    category: str = SHOWN_BY_ANY_WORD

    def of_row(self, passage: Passage, position: int, *, is_span: bool) -> Mapping[str, str]:
        """The facts of a row: those of its passage, or those that its sentence mentions."""
        if not is_span:
            return passage.facts
        return self.of_span(passage, sentence_at(passage.text, position))

    def of_span(self, passage: Passage, span: Span) -> Mapping[str, str]:
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

    def asserted(self, text: str) -> Assertions:
        """The facts that a text states."""
        return facts_asserted(text)

    def listed(
        self, kinds: Sequence[str], facts: Mapping[str, str], *, key: Sequence[object], words: int
    ) -> str:
        """A text that states these kinds of facts, as far as the words reach."""
        names = [kind for kind in kinds if kind in facts]
        return explanation_from(names, facts, keyed_random(*key), words)
