"""The world's teacher: explanations of activations, by the true facts.

A pooled row is explained by the facts of its passage, a row at a token by the facts that the text
mentions up to there, and by its last word. The teacher never sees an activation.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator

from interlingua.models.hosts.sites import chosen_spans
from interlingua.specs.splits import Split
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.training import TeachSpec
from interlingua.stages.rows.keyed import KeyedRows
from interlingua.store.artifact import Artifact
from interlingua.store.hosts import opened_from
from interlingua.store.rows.explanations import Explanation
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import POOLED_POSITION
from interlingua.store.rows.splits import SplitAccess
from interlingua.world.facts import keyed_random
from interlingua.world.row_facts import facts_in
from interlingua.world.teacher import SAYABLE, explanation_at, explanation_from


class FactsSoFar:
    """The facts that the text of a row mentions: its passage's, its sentence's, those so far."""

    def __init__(
        self, tokens: tuple[Artifact, Artifact] | None, spec: TeachSpec, access: SplitAccess
    ) -> None:
        """Prepare for rows at tokens; without `tokens` (a host, its rows) none is asked for."""
        self._positions: dict[str, list[int]] | None = None
        self._spans = spec.spans
        if tokens is None:
            return
        from interlingua.models.hosts.host import load_tokenizer

        host, artifact = tokens
        read = artifact.record.spec
        source, revision = opened_from(host)
        self._tokenizer = load_tokenizer(source, revision=revision)
        self._max_tokens = read["max_tokens"]
        rows = KeyedRows(artifact, read["block_indices"][0], spec.splits, access)
        self._positions = {}
        for passage_id, position in rows.finite_keys():
            self._positions.setdefault(passage_id, []).append(position)

    def by_position(self, passage: Passage) -> Iterator[tuple[int, list[str], str | None]]:
        """Positions of a passage, each with the facts to name, and at a token the text so far."""
        if self._spans is not None:
            for span in chosen_spans(self._spans, passage.passage_id, passage.text):
                mentioned = facts_in(passage, span)
                yield span[0], [fact for fact in SAYABLE if fact in mentioned], None
            return
        if self._positions is None:
            yield POOLED_POSITION, list(SAYABLE), None
            return
        positions = self._positions.get(passage.passage_id, [])
        if not positions:
            return
        # As the host read it: the same special tokens and the same cut. Otherwise a position is
        # another token here than there, and its facts are those of the wrong place.
        encoded = self._tokenizer(
            passage.text,
            truncation=True,
            max_length=self._max_tokens,
            return_offsets_mapping=True,
        )
        for position in positions:
            end = encoded["offset_mapping"][position][1]
            # A fact counts where its mention ends: in the middle of a word it is not known yet.
            so_far = {m.fact for m in passage.mentions if m.end <= end}
            # Any word shows which language it is of.
            facts = [fact for fact in SAYABLE if fact in so_far or fact == "language"]
            yield position, facts, passage.text[:end]


def explained(
    passage: Passage, so_far: FactsSoFar, spec: TeachSpec, counts: Counter[str]
) -> Iterator[Explanation]:
    """The samples of every activation of a passage; `counts` counts the facts in them."""
    teacher = spec.teacher
    name = f"world-{hashlib.sha256(canonical_json(teacher).encode()).hexdigest()[:12]}"
    for position, facts, prefix in so_far.by_position(passage):
        for sample in range(spec.samples):
            # Pooled, without a position: the draws are then those of `explanation_of`.
            key = (passage.passage_id, *([position] if position >= 0 else []), sample)
            rng = keyed_random("teacher", teacher.seed, *key)
            least, most = (min(n, len(facts)) for n in (teacher.min_facts, teacher.max_facts))
            chosen = rng.sample(facts, rng.randint(least, most))
            counts["num_facts"] += len(chosen)
            if prefix is None:
                text = explanation_from(chosen, passage.facts, rng, teacher.max_words)
            else:
                text = explanation_at(chosen, passage.facts, prefix, rng, teacher.max_words)
            yield Explanation(
                passage_id=passage.passage_id,
                position=position,
                sample=sample,
                split=Split(passage.split),
                teacher=name,
                text=text,
            )
