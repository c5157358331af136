"""Sessions of an AV: samples that join with vectors in their prompts, at any time.

B vectors, N samples of them; V the vocabulary.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache

from interlingua.models.pair.prompts import AvPrompt, EmbeddedPrompt
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.buffered_cache import buffered_cache, copied_cache
from interlingua.models.sampling.ending import Ending
from interlingua.models.sampling.running import RunningSamples, Sample

# Beginnings of prompts whose keys and values a session holds, those of the last ones that joined.
MOST_BEGINNINGS = 8


class Session(RunningSamples):
    """Draws samples from an AV whose weights stay as they are while samples join.

    What prompts begin with is run once, and is there for all who join later.
    """

    def __init__(self, verbalizer: Verbalizer, ending: Ending) -> None:
        super().__init__(verbalizer.trunk, ending)
        self._verbalizer = verbalizer
        self._beginnings: OrderedDict[tuple[int, ...], Cache] = OrderedDict()  # of one row each

    @torch.no_grad()
    def join(self, prompt: AvPrompt, v_BD: Tensor, samples: Sequence[Sample]) -> list[Sample]:
        """Take samples in, equally many of every row of v, and draw the first id of each."""
        cache = self._begun_cache(prompt, len(v_BD), _capacity(prompt.ids_T, samples))
        logits_NV = self._first_logits(prompt, v_BD, len(samples) // len(v_BD), cache)
        return self.take_in(samples, logits_NV, [cache])

    @torch.no_grad()
    def join_embedded(self, prompt: EmbeddedPrompt, samples: Sequence[Sample]) -> list[Sample]:
        """Take in samples of one prompt that somebody else wrote vectors into."""
        cache = buffered_cache(_capacity(prompt.ids_T, samples))
        inputs_1TE = self._trunk.embedded(prompt.ids_T, prompt.rows_ME, prompt.positions_M)
        logits_1TV = self._trunk(None, inputs_BTE=inputs_1TE, cache=cache, num_logits=1)
        cache.batch_repeat_interleave(len(samples))
        return self.take_in(samples, logits_1TV[:, 0].expand(len(samples), -1), [cache])

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

    def _first_logits(
        self, prompt: AvPrompt, v_BD: Tensor, num_samples: int, cache: Cache
    ) -> Tensor:
        """The logits after the prompt, whose beginning the cache holds."""
        num_before = prompt.num_shared
        logits_BTV = self._trunk(
            prompt.ids_T[num_before:].expand(len(v_BD), -1),
            sites=self._verbalizer.sites(prompt, v_BD, num_before),
            cache=cache,
            num_logits=1,
        )
        # Samples of a row stand together, as in `uniforms`: another order would swap their draws.
        cache.batch_repeat_interleave(num_samples)
        return logits_BTV[:, 0].repeat_interleave(num_samples, dim=0)


def _capacity(ids_T: Tensor, samples: Sequence[Sample]) -> int:
    return len(ids_T) + max(len(sample.uniforms_T) for sample in samples)
