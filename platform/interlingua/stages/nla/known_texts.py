"""Texts that no AV wrote: the teacher's explanations, lists of true facts, the passage itself.

A row at a token is explained by its teacher alone: what was read up to there is not at hand here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from interlingua.core.spans import sentence_at
from interlingua.sources.source import truth_of
from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import ReconstructSpec
from interlingua.specs.splits import Split
from interlingua.store.artifact import Artifact
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, read_passages
from interlingua.store.rows.shards import POOLED_POSITION, Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Verbalized

WORD = re.compile(r"\S+")


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
    truth = truth_of(passages)
    assert truth is not None  # the graph asks for facts of no other corpus
    kinds = truth.general if predictor is Predictor.GENERAL_FACTS else tuple(truth.values)
    for key in explained:
        passage_id, position = key
        is_span = position != POOLED_POSITION
        facts = truth.of_row(by_id[passage_id], position, is_span=is_span)
        # The key's first word is as old as the first numbers: another one would draw others.
        drawn_by = ("told", passage_id, *([position] if is_span else []))
        yield key, truth.listed(kinds, facts, key=drawn_by, words=spec.max_words)


def text_of_row(passage: Passage, position: int) -> str:
    """The text that a row is the mean of: the whole passage, or the sentence that begins there."""
    if position == POOLED_POSITION:
        return passage.text
    start, end = sentence_at(passage.text, position)
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
