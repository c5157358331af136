"""Explanations by a chat model that runs in this process. Knows no stage and no block of rows.

What a text is depends on the spec, the passage, the site and the number of the sample, and on what
it is drawn beside only as far as sums are rounded.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from interlingua.models.sampling.chat_model import Answer, ChatModel
from interlingua.models.sampling.chat_prompts import ChatPrompts
from interlingua.sources.answers import Unusable, explanation_in_answer
from interlingua.sources.source import Explained, Site
from interlingua.specs.splits import Split
from interlingua.specs.teachers import LocalTeacher
from interlingua.specs.text.canonical import canonical_json
from interlingua.specs.training import SamplingSpec
from interlingua.store.hosts import GGUF_SUFFIX
from interlingua.store.rows.passages import Passage

FIELD = "{text}"
# Of a record, also where they are zero: how every row ended, and what was read and drawn for it.
EXPLAINED, REPEATED, CUT_OFF = "num_explained", "num_repeated", "num_cut_off"
TOO_LONG, WITHOUT_TEXT = "num_too_long", "num_without_text"
REASONS = (CUT_OFF, *(one.value for one in Unusable), TOO_LONG, WITHOUT_TEXT, REPEATED)
COUNTED = (EXPLAINED, *REASONS, "prompt_tokens", "answer_tokens")


def opened(
    spec: LocalTeacher, *, source: str, revision: str | None, device: str, batch_rows: int
) -> "ModelTeacher":
    """The teacher, its model read from `source`: what the one that the spec names has become."""
    return ModelTeacher(
        spec,
        ChatModel(
            source, revision=revision, dtype=spec.dtype, device=device, batch_rows=batch_rows
        ),
    )


class ModelTeacher:
    """A teacher that asks one model, about one text at a time."""

    prepares_on: tuple[Split, ...] = ()

    def __init__(self, spec: LocalTeacher, model: ChatModel) -> None:
        before, _, behind = spec.prompt.user.partition(FIELD)
        self._spec, self._model, self._name = spec, model, name_of(spec)
        self._counts = Counter(dict.fromkeys(COUNTED, 0))
        self._prompts = ChatPrompts(
            model.tokenizer, spec.source, system=spec.prompt.system, before=before, behind=behind
        )
        added = model.tokenizer.added_tokens_decoder.values()
        self._control = tuple(token.content for token in added if token.special)

    def prepare(self, passages: Iterable[Passage]) -> None:
        """Nothing: each text is explained by itself."""

    def explain(
        self, asked: Sequence[tuple[Passage, Site]], num_samples: int
    ) -> list[list[Explained]]:
        """The explanations in up to `num_samples` answers about each site; one, where greedy."""
        sampling, prompts = self._sampling(num_samples), {}
        for place, (passage, site) in enumerate(asked):
            ids = self._prompt(read_text(passage, site))
            if isinstance(ids, str):
                self._counts[ids] += sampling.samples
            else:
                prompts[place] = ids
        answers = self._model.answers(
            [*prompts.values()],
            [_key(*asked[place]) for place in prompts],
            sampling,
            top_p=self._spec.prompt.top_p,
            beginning=self._prompts.beginning,
        )
        self._counts["prompt_tokens"] += sum(map(len, prompts.values()))
        by_place = dict(zip(prompts, answers, strict=True))
        return [self._explanations(by_place.get(place, [])) for place in range(len(asked))]

    def counts(self) -> Mapping[str, int]:
        """How rows ended, and how many tokens were read and drawn."""
        return self._counts

    def _sampling(self, num_samples: int) -> SamplingSpec:
        prompt = self._spec.prompt
        return SamplingSpec(
            seed=self._spec.seed,
            temperature=prompt.temperature,
            samples=num_samples if prompt.temperature else 1,  # others would be the same again
            max_new_tokens=prompt.max_new_tokens,
        )

    def _prompt(self, text: str) -> list[int] | str:
        """The prompt about a text, or why it cannot be asked about."""
        if not text.strip():
            return WITHOUT_TEXT
        ids, most = self._prompts.ids(text), self._model.most_tokens
        if most is not None and len(ids) + self._spec.prompt.max_new_tokens > most:
            return TOO_LONG
        return ids

    def _explanations(self, answers: Sequence[Answer]) -> list[Explained]:
        found: list[Explained] = []
        for answer in answers:
            self._counts["answer_tokens"] += answer.num_tokens
            text, ended = self._read(answer)
            if (self._name, text) in found:
                ended = REPEATED
            if ended == EXPLAINED:
                found.append((self._name, text))
            self._counts[ended] += 1
        return found

    def _read(self, answer: Answer) -> tuple[str, str]:
        """The explanation in an answer, and how its row ends."""
        if answer.is_cut_off:
            return "", CUT_OFF
        read = explanation_in_answer(answer.text, self._spec.prompt.answer)
        if isinstance(read, Unusable):
            return "", read.value
        # A token that steers a chat is no part of an explanation.
        is_steering = any(token in read for token in self._control)
        return read, Unusable.MALFORMED.value if is_steering else EXPLAINED


def read_text(passage: Passage, site: Site) -> str:
    """What was read at a site: the passage, the sentence, or the passage up to the token."""
    return passage.text if site.span is None else passage.text[slice(*site.span)]


def name_of(teacher: LocalTeacher) -> str:
    """Who wrote its texts: the model's name, and a hash of all that makes them what they are."""
    name = Path(teacher.source).name.removesuffix(GGUF_SUFFIX)
    # Known by its hash, it is the same wherever its files lie.
    known = teacher if teacher.files_sha256 is None else replace(teacher, source=name)
    return f"{name}-{hashlib.sha256(canonical_json(known).encode()).hexdigest()[:12]}"


def _key(passage: Passage, site: Site) -> str:
    return f"{passage.passage_id}|{site.position}"
