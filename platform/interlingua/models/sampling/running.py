"""Samples that are drawn together, each a row of one cache, and that leave between two steps.

What a sample says depends on nothing else here: every draw is fixed by one uniform number of its
own, and what a row cannot see is masked. Samples that began together, with prompts of one length,
need no mask; one whose prompt is shorter, or that joins later, stands at the right of its part of
the cache. Knows no prompt.

R rows of the cache, ended ones among them; N samples that join; V the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import Cache

from interlingua.models.pair.trunk import Trunk
from interlingua.models.sampling.buffered_cache import joined_caches, length_of, trimmed_cache
from interlingua.models.sampling.drawing import draw
from interlingua.models.sampling.ending import Decoded, Ending

# Samples that have ended cost a step as much as others; to drop them costs a copy of the others.
DROPPED_SHARE = 0.25


@dataclass(slots=True, eq=False, kw_only=True)
class Sample:
    """A text that is being drawn; its place in a session is its own identity.

    Only the likeliest ids that together reach `top_p` are drawn, and none that `banned_V` marks;
    `prefix_ids` begin the text, at the prompt's end.
    """

    uniforms_T: np.ndarray
    temperature: float
    top_p: float = 1.0
    banned_V: Tensor | None = None
    prefix_ids: tuple[int, ...] = ()
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    has_ended: bool = False
    ended_itself: bool = False  # by its last id, not because it was as long as it may be

    @property
    def next_uniform(self) -> float:
        """The number of the next draw; any of them where there is none."""
        return float(self.uniforms_T[min(len(self.ids), len(self.uniforms_T) - 1)])

    @property
    def is_full(self) -> bool:
        """Whether it is as long as it may be."""
        return len(self.ids) == len(self.uniforms_T)

    def tail(self, count: int) -> list[int]:
        """The last ids of the text."""
        return [*self.prefix_ids, *self.ids][-count:]


class RunningSamples:
    """Draws samples from a model whose weights stay as they are while samples join."""

    def __init__(self, trunk: Trunk, ending: Ending) -> None:
        self._trunk, self._ending = trunk, ending
        self._samples: list[Sample] = []  # in the order of the cache
        self._pads: list[int] = []  # columns of the cache before a row's first token
        self._cache: Cache | None = None

    def __len__(self) -> int:
        return sum(not sample.has_ended for sample in self._samples)

    def take_in(
        self, samples: Sequence[Sample], logits_NV: Tensor, caches: Sequence[Cache]
    ) -> list[Sample]:
        """Draw the first id of samples; the caches hold their prompts, each of equally many."""
        self._drop_ended()
        last_N = self._extend(samples, logits_NV)
        if self._cache is None and len(caches) == 1:
            self._cache, self._last_R = caches[0], last_N
            self._samples, self._pads = list(samples), [0] * len(samples)
        else:
            self._add(caches, last_N, samples)
        return list(samples)

    def leave(self, samples: Sequence[Sample]) -> None:
        """Draw no more of these; they are out of the cache before the next step."""
        for sample in samples:
            sample.has_ended = True
        if any(sample.has_ended for sample in self._samples):
            self._drop_ended()

    @torch.no_grad()
    def step(self) -> list[Sample]:
        """Draw one more id of every sample that has not ended; returns those samples."""
        num_ended = sum(sample.has_ended for sample in self._samples)
        if num_ended >= DROPPED_SHARE * len(self._samples):
            self._drop_ended()
        if self._cache is None:
            return []
        running = [sample for sample in self._samples if not sample.has_ended]
        # An ended sample that stays draws on; what it draws is not taken.
        self._last_R = self._extend(self._samples, self._next_logits(self._cache))
        return running

    def decoded(self, sample: Sample) -> Decoded:
        """What a sample is so far."""
        return self._ending.decoded(sample.ids, sample.log_probs, sample.prefix_ids)

    def _next_logits(self, cache: Cache) -> Tensor:
        mask_RT = positions_R1 = None
        if any(self._pads):
            pads_R1 = torch.tensor(self._pads, device=self._last_R.device)[:, None]
            num_columns = length_of(cache)
            mask_RT = torch.arange(num_columns + 1, device=pads_R1.device) >= pads_R1
            positions_R1 = num_columns - pads_R1
        logits_R1V: Tensor = self._trunk(
            self._last_R[:, None],
            cache=cache,
            num_logits=1,
            mask_BT=mask_RT,
            positions_BT=positions_R1,
        )
        return logits_R1V[:, 0]

    def _extend(self, samples: Sequence[Sample], logits_RV: Tensor) -> Tensor:
        """Draw an id of every sample and keep those of the running ones; returns all of them."""
        ids_R, log_probs_R = _drawn(samples, logits_RV)
        # Together, because this is the one wait for the device; a double holds every id.
        ids, log_probs = torch.stack([ids_R.double(), log_probs_R.double()]).tolist()
        running = [place for place, sample in enumerate(samples) if not sample.has_ended]
        for place in running:
            samples[place].ids.append(int(ids[place]))
            samples[place].log_probs.append(log_probs[place])
        is_end = self._ending.is_reached([samples[place] for place in running])
        for place, has_ended in zip(running, is_end, strict=True):
            sample = samples[place]
            sample.ended_itself = bool(has_ended)
            sample.has_ended = sample.ended_itself or sample.is_full
        return ids_R

    def _drop_ended(self) -> None:
        """Take ended samples out of the cache, and the columns that nobody reads any more."""
        held = [place for place, sample in enumerate(self._samples) if not sample.has_ended]
        if len(held) == len(self._samples):
            return
        self._samples = [self._samples[place] for place in held]
        self._pads = [self._pads[place] for place in held]
        if not held:
            self._cache = None
            return
        assert self._cache is not None
        held_R = torch.tensor(held, device=self._last_R.device)
        self._cache.batch_select_indices(held_R)
        self._last_R = self._last_R[held_R]
        if unread := min(self._pads):
            trimmed_cache(self._cache, unread)
            self._pads = [pad - unread for pad in self._pads]

    def _add(self, caches: Sequence[Cache], last_N: Tensor, samples: Sequence[Sample]) -> None:
        """Put the rows of other caches behind those of this one, all at its right edge."""
        own = [] if self._cache is None else [self._cache]
        lengths = [length_of(cache) for cache in caches]
        num_columns = max(map(length_of, [*own, *caches]))
        together = [*self._samples, *samples]
        num_to_come = max(len(sample.uniforms_T) - len(sample.ids) for sample in together)
        self._pads = [pad + num_columns - length_of(own[0]) for pad in self._pads]
        for length in lengths:
            self._pads += [num_columns - length] * (len(samples) // len(caches))
        self._last_R = torch.cat([self._last_R, last_N]) if own else last_N
        self._cache = joined_caches([*own, *caches], capacity=num_columns + num_to_come + 1)
        self._samples = together


def _drawn(samples: Sequence[Sample], logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """An id and its log probability for every sample, each by its own way of drawing."""
    uniforms_R = torch.tensor([sample.next_uniform for sample in samples], dtype=torch.float64)
    uniforms_R = uniforms_R.to(logits_RV.device)
    ways = [(one.temperature, one.top_p, one.banned_V is not None) for one in samples]
    if len(set(ways)) == 1 and not ways[0][2]:
        return draw(logits_RV, uniforms_R, ways[0][0], top_p=ways[0][1])
    ids_R = torch.empty(len(samples), dtype=torch.long, device=logits_RV.device)
    log_probs_R = torch.empty(len(samples), device=logits_RV.device)
    for way in dict.fromkeys(ways):
        rows = [row for row, own in enumerate(ways) if own == way]
        bans = [banned for row in rows if (banned := samples[row].banned_V) is not None]
        ids_R[rows], log_probs_R[rows] = draw(
            logits_RV[rows],
            uniforms_R[rows],
            way[0],
            torch.stack(bans) if bans else None,
            top_p=way[1],
        )
    return ids_R, log_probs_R
