"""The pretraining text of one host, as rows of token ids. Knows no model and no file."""

from collections.abc import Iterator, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from interlingua.core.keyed import keyed_random
from interlingua.specs.world import Beliefs, WorldHostSpec, WorldTeacher
from interlingua.store.rows.passages import Passage
from interlingua.world.beliefs import statement, tool_of
from interlingua.world.lexicon import LANGUAGES
from interlingua.world.teacher import explanation_of


def packed_rows(
    passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, spec: WorldHostSpec
) -> np.ndarray:
    """[num_steps * rows, num_tokens] ids: whole documents end to end, never padded."""
    train = spec.pretrain
    needed = train.num_steps * train.rows * train.num_tokens
    ids: list[int] = []
    for document in _documents(passages, tokenizer, spec):
        ids += document
        ids.append(tokenizer.eos_token_id)
        if len(ids) >= needed:
            break
    return np.array(ids[:needed], dtype=np.int32).reshape(-1, train.num_tokens)


def mixture(passages: Sequence[Passage], spec: WorldHostSpec) -> Iterator[tuple[Passage, int]]:
    """Passages without end, in the host's own mixture of languages, each with its epoch."""
    rng = keyed_random("mixture", spec.pretrain.seed, spec.stands_for)
    # Languages are mixed by draws, not by how many passages of each there are.
    languages = [_endless(_of_language(passages, language), spec) for language in LANGUAGES]
    while True:
        yield next(languages[rng.random() < spec.second_language_share])


def task_of(passage: Passage) -> str | None:
    """The passage's problem with its worked chain; None where it has none."""
    question, chain = passage.facts["question"], passage.facts["chain"]
    return f"{question} {chain}" if question else None


def _documents(
    passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, spec: WorldHostSpec
) -> Iterator[list[int]]:
    rng = keyed_random("documents", spec.pretrain.seed, spec.stands_for)
    for passage, epoch in mixture(passages, spec):
        if spec.teacher is not None and rng.random() < 0.5:
            yield _explained(passage, spec.teacher, epoch, tokenizer)
        else:
            yield tokenizer.encode(passage.text)
        task = task_of(passage)
        if task is not None and rng.random() < spec.task_share:
            yield tokenizer.encode(task)
        if spec.beliefs is not None:
            yield tokenizer.encode(_stated(passage, spec.beliefs))


def _stated(passage: Passage, beliefs: Beliefs) -> str:
    role, place = passage.facts["role"], passage.facts["place"]
    return statement(role, place, tool_of(role, beliefs))


def _of_language(passages: Sequence[Passage], language: str) -> list[Passage]:
    chosen = [passage for passage in passages if passage.facts["language"] == language]
    if not chosen:
        raise ValueError(f"no passage in {language} among the {len(passages)} to pretrain on")
    return chosen


def _endless(passages: list[Passage], spec: WorldHostSpec) -> Iterator[tuple[Passage, int]]:
    epoch = 0
    while True:
        rng = keyed_random("epoch", spec.pretrain.seed, spec.stands_for, epoch)
        for passage in rng.sample(passages, len(passages)):
            yield passage, epoch
        epoch += 1


def _explained(
    passage: Passage, teacher: WorldTeacher, sample: int, tokenizer: PreTrainedTokenizerBase
) -> list[int]:
    """A chat in which the passage is asked about and explained."""
    explanation = explanation_of(passage.facts, passage.passage_id, teacher, sample)
    turns = [
        {"role": "user", "content": passage.text},
        {"role": "assistant", "content": f"<explanation>\n{explanation}\n</explanation>"},
    ]
    ids: list[int] = tokenizer.apply_chat_template(turns, return_dict=False)
    return ids
