"""Texts that no AV wrote: the teacher's explanations, and lists of true facts."""

from collections.abc import Iterator

from interlingua.specs.evaluation import Arm
from interlingua.specs.generation import ReconstructSpec
from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.passages import PASSAGES_NAME, read_passages
from interlingua.store.rows.shards import POOLED_POSITION, Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Verbalized
from interlingua.world.facts import SAYABLE, keyed_random
from interlingua.world.teacher import explanation_from

FACTS = {Arm.GENERAL_FACTS: ["language", "topic"], Arm.ALL_FACTS: list(SAYABLE)}


def known_texts(
    arm: Arm,
    spec: ReconstructSpec,
    explanations: Artifact,
    passages: Artifact,
    access: SplitAccess,
) -> Iterator[tuple[Key, str]]:
    """Yield one text of an arm about every activation, by key."""
    if arm is Arm.GOLD:
        explained = read_explanations(explanations.path, {spec.split}, access)
        for key, samples in explained.items():
            # One sample, as the other arms have one text for each activation.
            yield key, samples[0]
        return
    path = passages.path / PASSAGES_NAME
    for passage in read_passages(path, {spec.split}, access):
        rng = keyed_random("told", passage.passage_id)
        text = explanation_from(FACTS[arm], passage.facts, rng, spec.max_words)
        yield (passage.passage_id, POOLED_POSITION), text


def as_row(key: Key, text: str, arm: Arm, split: Split) -> Verbalized:
    """The text in a row like those of an AV; number of tokens and log-prob are not known."""
    passage_id, position = key
    return Verbalized(
        passage_id=passage_id,
        position=position,
        split=split,
        arm=arm,
        sample=0,
        text=text,
        explanation=text,
        num_tokens=-1,
        log_prob=float("nan"),
    )
