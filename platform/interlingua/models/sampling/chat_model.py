"""A chat model that answers prompts, many of them at a time. Knows no passage.

A prompt is run by itself, so that what it gives depends on no other; then answers are drawn
together, and as some end the next join. Left out: prompts that are run together.

N samples of one prompt; T tokens; V the vocabulary.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from transformers import Cache, PreTrainedTokenizerBase

from interlingua.models.hosts.activations import LENGTH_LIMITS
from interlingua.models.hosts.host import Host, load_host, load_tokenizer
from interlingua.models.hosts.parts import text_config
from interlingua.models.pair.trunk import Trunk
from interlingua.models.sampling.buffered_cache import (
    buffered_cache,
    copied_cache,
    require_plain_cache,
)
from interlingua.models.sampling.drawing import uniforms
from interlingua.models.sampling.ending import Ending
from interlingua.models.sampling.grouped_attention import grouped_attention
from interlingua.models.sampling.running import RunningSamples, Sample
from interlingua.specs.training import SamplingSpec

# Answers that have ended are replaced by the next when they are this share of all: whoever joins
# costs a copy of the cache.
JOINING_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered; one that is cut off did not come to its end."""

    text: str
    num_tokens: int
    is_cut_off: bool


class ChatModel:
    """A whole language model with its tokenizer, opened to answer."""

    def __init__(
        self, source: str, *, revision: str | None, dtype: str, device: str, batch_rows: int
    ) -> None:
        host = load_host(source, dtype=dtype, device=device, revision=revision, check=False)
        require_plain_cache(host.model)
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(source, revision=revision)
        # As many tokens as prompt and answer may have together; None: any number.
        self.most_tokens = _most_tokens(host)
        self._model, self._batch_rows = host.model, batch_rows
        self._trunk = Trunk(host.model, host.parts, rule=None)
        self._ending = Ending(host.model, self.tokenizer, closing=None)
        self._device = host.parts.embedding.weight.device

    @torch.no_grad()
    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[str],
        spec: SamplingSpec,
        *,
        top_p: float,
        beginning: Sequence[int] = (),
    ) -> list[list[Answer]]:
        """`spec.samples` answers to every prompt; the seed and a prompt's key fix its draws.

        What prompts begin with is run once for those that do begin with it.
        """
        with grouped_attention(self._model):
            session = _Session(self._trunk, self._ending, self._device, beginning)
            samples = self._drawn(session, prompts, keys, spec, top_p)
        return [[_answer(session, sample) for sample in row] for row in samples]

    def _drawn(
        self,
        session: "_Session",
        prompts: Sequence[Sequence[int]],
        keys: Sequence[str],
        spec: SamplingSpec,
        top_p: float,
    ) -> list[list[Sample]]:
        rows = [_samples(key, spec, top_p) for key in keys]
        most = max(1, self._batch_rows // spec.samples)  # prompts at once
        # Like lengths follow each other: a shorter prompt's columns before it are computed, too.
        waiting = deque(sorted(range(len(rows)), key=lambda row: len(prompts[row])))
        while waiting or len(session):
            num_free = most - ceil(len(session) / spec.samples)
            if waiting and num_free >= JOINING_SHARE * most:
                joining = [waiting.popleft() for _ in range(min(num_free, len(waiting)))]
                session.join([prompts[row] for row in joining], [rows[row] for row in joining])
            else:
                session.step()
        return rows


class _Session(RunningSamples):
    """Answers that are drawn together."""

    def __init__(
        self, trunk: Trunk, ending: Ending, device: torch.device, beginning: Sequence[int]
    ) -> None:
        super().__init__(trunk, ending)
        self._device, self._beginning = device, list(beginning)
        self._begun: Cache | None = None

    def join(self, prompts: Sequence[Sequence[int]], rows: Sequence[Sequence[Sample]]) -> None:
        """Take in the samples of some prompts, equally many of each."""
        # The cache of a single prompt goes on as it is; those of several are copied into one.
        num_more = len(rows[0][0].uniforms_T) if len(rows) == 1 else 0
        read = [
            self._read(ids, len(row), len(ids) + num_more)
            for ids, row in zip(prompts, rows, strict=True)
        ]
        samples = [sample for row in rows for sample in row]
        self.take_in(samples, torch.cat([logits for logits, _ in read]), [one for _, one in read])

    def _read(self, ids: Sequence[int], num_samples: int, capacity: int) -> tuple[Tensor, Cache]:
        """The logits [N, V] behind a prompt, and a cache that holds it in every row."""
        num_before, cache = 0, buffered_cache(capacity)
        is_shared = 0 < len(self._beginning) < len(ids)
        if is_shared and list(ids[: len(self._beginning)]) == self._beginning:
            num_before = len(self._beginning)
            cache = copied_cache(self._run_beginning(), 1, capacity=capacity)
        ids_1T = torch.tensor([ids[num_before:]], device=self._device)
        logits_1TV = self._trunk(ids_1T, cache=cache, num_logits=1)
        cache.batch_repeat_interleave(num_samples)
        return logits_1TV[:, 0].expand(num_samples, -1), cache

    def _run_beginning(self) -> Cache:
        if self._begun is None:
            self._begun = buffered_cache(len(self._beginning))
            ids_1T = torch.tensor([self._beginning], device=self._device)
            self._trunk(ids_1T, cache=self._begun, num_logits=1)
        return self._begun


def _samples(key: str, spec: SamplingSpec, top_p: float) -> list[Sample]:
    drawn = uniforms([key], spec).numpy()
    return [Sample(uniforms_T=one_T, temperature=spec.temperature, top_p=top_p) for one_T in drawn]


def _answer(session: _Session, sample: Sample) -> Answer:
    return Answer(
        text=session.decoded(sample).text,
        num_tokens=len(sample.ids),
        is_cut_off=not sample.ended_itself,
    )


def _most_tokens(host: Host) -> int | None:
    fields = text_config(host.model.config).to_dict()
    limits = [limit for name in LENGTH_LIMITS if (limit := fields.get(name)) is not None]
    # Beyond it a longer text would change the positions of all that it is drawn with.
    limits += [] if host.lengths is None else [host.lengths.shared]
    return min(limits) if limits else None
