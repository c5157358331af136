"""Samples of an AV that are drawn together, and that join and leave between two steps.

What a sample says depends on nothing else in the session: every draw is fixed by one uniform number
of its own, and what a row cannot see is masked. Samples that began together, with prompts of one
length, need no mask; a row that joins later stands at the right of its part of the cache.

R rows of the cache, ended ones among them; B vectors, N samples of them; V the vocabulary.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers import Cache

from interlingua.models.pair.prompts import AvPrompt, EmbeddedPrompt
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.buffered_cache import (
    buffered_cache,
    copied_cache,
    joined_caches,
    length_of,
    trimmed_cache,
)
from interlingua.models.sampling.drawing import draw
from interlingua.models.sampling.ending import Decoded, Ending

# Samples that have ended cost a step as much as others; to drop them costs a copy of the others.
DROPPED_SHARE = 0.25
# Beginnings of prompts whose keys and values a session holds, those of the last ones that joined.
MOST_BEGINNINGS = 8


@dataclass(slots=True, eq=False, kw_only=True)
class Sample:
    """A text that is being drawn; its place in a session is its own identity.

    `banned_V` marks ids that are never drawn; `prefix_ids` begin the text, at the prompt's end.
    """

    uniforms_T: np.ndarray
    temperature: float
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

    def tail(self, count: int) -> list[int]:
        """The last ids of the text."""
        return [*self.prefix_ids, *self.ids][-count:]


class Session:
    """Draws samples from an AV whose weights stay as they are while samples join.

    What prompts begin with is run once, and is there for all who join later.
    """

    def __init__(self, verbalizer: Verbalizer, ending: Ending) -> None:
        self._verbalizer, self._ending = verbalizer, ending
        self._samples: list[Sample] = []  # in the order of the cache
        self._pads: list[int] = []  # columns of the cache before a row's first token
        self._cache: Cache | None = None
        self._beginnings: OrderedDict[tuple[int, ...], Cache] = OrderedDict()  # of one row each

    def __len__(self) -> int:
        return sum(not sample.has_ended for sample in self._samples)

    @torch.no_grad()
    def join(self, prompt: AvPrompt, v_BD: Tensor, samples: Sequence[Sample]) -> list[Sample]:
        """Take samples in, equally many of every row of v, and draw the first id of each."""
        cache = self._begun_cache(prompt, len(v_BD), _capacity(prompt.ids_T, samples))
        logits_NV = self._first_logits(prompt, v_BD, len(samples) // len(v_BD), cache)
        return self._take_in(samples, logits_NV, cache)

    @torch.no_grad()
    def join_embedded(self, prompt: EmbeddedPrompt, samples: Sequence[Sample]) -> list[Sample]:
        """Take in samples of one prompt that somebody else wrote vectors into."""
        cache = buffered_cache(_capacity(prompt.ids_T, samples))
        trunk = self._verbalizer.trunk
        inputs_1TE = trunk.embedded(prompt.ids_T, prompt.rows_ME, prompt.positions_M)
        logits_1TV = trunk(None, inputs_BTE=inputs_1TE, cache=cache, num_logits=1)
        cache.batch_repeat_interleave(len(samples))
        return self._take_in(samples, logits_1TV[:, 0].expand(len(samples), -1), cache)

    def _begun_cache(self, prompt: AvPrompt, num_rows: int, capacity: int) -> Cache:
        """A cache that holds what stands before a prompt's first vector, in so many rows."""
        if not prompt.num_shared:
            return buffered_cache(capacity)
        ids = tuple(prompt.ids_T[: prompt.num_shared].tolist())
        if ids not in self._beginnings:
            begun = buffered_cache(len(ids))
            self._verbalizer.prefilled(prompt, 1, begun)
            self._beginnings[ids] = begun
        self._beginnings.move_to_end(ids)
        while len(self._beginnings) > MOST_BEGINNINGS:
            self._beginnings.popitem(last=False)
        return copied_cache(self._beginnings[ids], num_rows, capacity=capacity)

    def _take_in(self, samples: Sequence[Sample], logits_NV: Tensor, cache: Cache) -> list[Sample]:
        self._drop_ended()
        last_N = self._extend(samples, logits_NV)
        if self._cache is None:
            self._cache, self._last_R = cache, last_N
            self._samples, self._pads = list(samples), [0] * len(samples)
        else:
            self._add(cache, last_N, samples)
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

    def _first_logits(
        self, prompt: AvPrompt, v_BD: Tensor, num_samples: int, cache: Cache
    ) -> Tensor:
        """The logits after the prompt, whose beginning the cache holds."""
        num_before = prompt.num_shared
        logits_BTV = self._verbalizer.trunk(
            prompt.ids_T[num_before:].expand(len(v_BD), -1),
            sites=self._verbalizer.sites(prompt, v_BD, num_before),
            cache=cache,
            num_logits=1,
        )
        # Samples of a row stand together, as in `uniforms`: another order would swap their draws.
        cache.batch_repeat_interleave(num_samples)
        return logits_BTV[:, 0].repeat_interleave(num_samples, dim=0)

    def _next_logits(self, cache: Cache) -> Tensor:
        mask_RT = positions_R1 = None
        if any(self._pads):
            pads_R1 = torch.tensor(self._pads, device=self._last_R.device)[:, None]
            num_columns = length_of(cache)
            mask_RT = torch.arange(num_columns + 1, device=pads_R1.device) >= pads_R1
            positions_R1 = num_columns - pads_R1
        logits_R1V: Tensor = self._verbalizer.trunk(
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
            sample.has_ended = sample.ended_itself or len(sample.ids) == len(sample.uniforms_T)
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

    def _add(self, cache: Cache, last_N: Tensor, samples: Sequence[Sample]) -> None:
        """Put the rows of another cache behind those of this one, both at its right edge."""
        assert self._cache is not None
        ours, theirs = length_of(self._cache), length_of(cache)
        num_columns = max(ours, theirs)
        together = [*self._samples, *samples]
        num_to_come = max(len(sample.uniforms_T) - len(sample.ids) for sample in together)
        self._cache = joined_caches(self._cache, cache, capacity=num_columns + num_to_come + 1)
        self._pads = [pad + num_columns - ours for pad in self._pads]
        self._pads += [num_columns - theirs] * len(samples)
        self._samples, self._last_R = together, torch.cat([self._last_R, last_N])


def _capacity(ids_T: Tensor, samples: Sequence[Sample]) -> int:
    return len(ids_T) + max(len(sample.uniforms_T) for sample in samples)


def _drawn(samples: Sequence[Sample], logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """An id and its log probability for every sample, each by its own way of drawing."""
    uniforms_R = torch.tensor([sample.next_uniform for sample in samples], dtype=torch.float64)
    uniforms_R = uniforms_R.to(logits_RV.device)
    ways = [(sample.temperature, sample.banned_V is not None) for sample in samples]
    if len(set(ways)) == 1 and not ways[0][1]:
        return draw(logits_RV, uniforms_R, ways[0][0])
    ids_R = torch.empty(len(samples), dtype=torch.long, device=logits_RV.device)
    log_probs_R = torch.empty(len(samples), device=logits_RV.device)
    for way in dict.fromkeys(ways):
        rows = [row for row, own in enumerate(ways) if own == way]
        bans = [banned for row in rows if (banned := samples[row].banned_V) is not None]
        ids_R[rows], log_probs_R[rows] = draw(
            logits_RV[rows], uniforms_R[rows], way[0], torch.stack(bans) if bans else None
        )
    return ids_R, log_probs_R
