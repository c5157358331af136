"""Texts that no AV wrote: the teacher's explanations, lists of true facts, the passage itself.

A row at a token is explained by its teacher alone: what was read up to there is not at hand here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import ReconstructSpec
from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, read_passages
from interlingua.store.rows.shards import POOLED_POSITION, Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Verbalized
from interlingua.world.facts import SAYABLE, keyed_random
from interlingua.world.row_facts import facts_of_row, sentence_at
from interlingua.world.teacher import explanation_from

WORD = re.compile(r"\S+")
FACTS = {Predictor.GENERAL_FACTS: ["language", "topic"], Predictor.ALL_FACTS: list(SAYABLE)}


def known_texts(
    predictor: Predictor,
    spec: ReconstructSpec,
    explained: Mapping[Key, Sequence[str]],
    passages: Artifact,
    access: SplitAccess,
) -> Iterator[tuple[Key, str]]:
    """Yield one text of a predictor about every activation, by key."""
    if predictor is Predictor.TEACHER:
        for key, samples in explained.items():
            # One sample, as the other predictors have one text for each activation.
            yield key, samples[0]
        return
    path = passages.path / PASSAGES_NAME
    by_id = {passage.passage_id: passage for passage in read_passages(path, {spec.split}, access)}
    if predictor is Predictor.PASSAGE_TEXT:
        for key, samples in explained.items():
            text = text_of_row(by_id[key[0]], key[1])
            yield key, last_words(text, len(samples[0].split()))
        return
    for key in explained:
        passage_id, position = key
        is_span = position != POOLED_POSITION
        facts = facts_of_row(by_id[passage_id], position, is_span=is_span)
        names = [name for name in FACTS[predictor] if name in facts]
        rng = keyed_random("told", passage_id, *([position] if is_span else []))
        yield key, explanation_from(names, facts, rng, spec.max_words)


def text_of_row(passage: Passage, position: int) -> str:
    """The text that a row is the mean of: the whole passage, or the sentence that begins there."""
    if position == POOLED_POSITION:
        return passage.text
    start, end = sentence_at(passage, position)
    return passage.text[start:end]


def last_words(text: str, count: int) -> str:
    """The last words of a text, at most so many: as long as the explanation that it stands for."""
    words = list(WORD.finditer(text))
    return text[words[-count].start() :] if 0 < count < len(words) else text


def as_row(key: Key, text: str, predictor: Predictor, split: Split) -> Verbalized:
    """The text in a row like those of an AV; number of tokens and log-prob are not known."""
    passage_id, position = key
    return Verbalized(
        passage_id=passage_id,
        position=position,
        split=split,
        predictor=predictor,
        sample=0,
        text=text,
        explanation=text,
        num_tokens=-1,
        log_prob=float("nan"),
    )
