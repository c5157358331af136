"""The world's teacher: explanations of activations, by the true facts.

A passage is explained by its facts, a sentence by those that it mentions, a token by those that the
text mentions up to there, and by its last word. The teacher never sees an activation.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from interlingua.core.keyed import keyed_random
from interlingua.sources.source import Explained, Site, Teacher
from interlingua.specs.splits import Split
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.world import WorldTeacher
from interlingua.store.rows.passages import Passage
from interlingua.world.facts import SAYABLE
from interlingua.world.teacher import explanation_at, explanation_from
from interlingua.world.truth import SHOWN_BY_ANY_WORD, WorldTruth


def opened(spec: WorldTeacher) -> Teacher:
    """The teacher."""
    return _FromFacts(spec)


class _FromFacts:
    prepares_on: tuple[Split, ...] = ()

    def __init__(self, spec: WorldTeacher) -> None:
        self._spec, self._counts = spec, Counter[str]()
        self._name = f"world-{hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:12]}"

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Nothing: what a passage says is known by itself."""

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """So many keyed choices of the facts that each site mentions."""
        return [
            [(self._name, self._text(passage, site, sample)) for sample in range(num_samples)]
            for passage, site in asked
        ]

    def counts(self) -> Mapping[str, int]:
        """The number of facts that were named."""
        return self._counts

    def _text(self, passage: Passage, site: Site, sample: int) -> str:
        spec, facts = self._spec, _facts_at(passage, site)
        # A whole passage has no position: its draws are those of `explanation_of`.
        place = [site.position] if site.position >= 0 else []
        rng = keyed_random("teacher", spec.seed, passage.passage_id, *place, sample)
        least, most = (min(n, len(facts)) for n in (spec.min_facts, spec.max_facts))
        chosen = rng.sample(facts, rng.randint(least, most))
        self._counts["num_facts"] += len(chosen)
        if not site.is_token:
            return explanation_from(chosen, passage.facts, rng, spec.max_words)
        assert site.span is not None
        prefix = passage.text[: site.span[1]]
        return explanation_at(chosen, passage.facts, prefix, rng, spec.max_words)


def _facts_at(passage: Passage, site: Site) -> list[str]:
    """The kinds of facts that can be named of a site, in their fixed order."""
    if site.span is None:
        return list(SAYABLE)
    if not site.is_token:
        mentioned = WorldTruth().of_span(passage, site.span)
        return [fact for fact in SAYABLE if fact in mentioned]
    # A fact counts where its mention ends: in the middle of a word it is not known yet.
    so_far = {mention.fact for mention in passage.mentions if mention.end <= site.span[1]}
    return [fact for fact in SAYABLE if fact in so_far or fact == SHOWN_BY_ANY_WORD]
