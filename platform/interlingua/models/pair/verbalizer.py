"""The AV: a vector in a prompt, and the likelihood of its explanation. Knows no host and no row.

All rows of a batch have one prompt, that of their host: nothing is padded on the left, and what
stands before the first marker is computed once for the whole batch.

v: the vector of a row in the shared space, whose width D is the trunk's. B rows, T tokens, S slots,
V vocabulary, N positions.
"""

from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, DynamicCache

from interlingua.core.affine import SlotAffine
from interlingua.core.injection import scaled
from interlingua.models.hosts.parts import text_config
from interlingua.models.pair.prompts import IGNORED, AvPrompt
from interlingua.models.pair.trunk import Sites, Trunk

# The most bytes of logits at once where no gradient is wanted: a logit is held as it comes, in
# fp32, and once more by the softmax, at most 4 bytes each. What takes less is made at once.
BYTES_AT_ONCE, BYTES_OF_LOGIT = 2 * 2**30, 12


class Verbalizer(nn.Module):
    """A trunk, and the maps from a vector to what its slots carry."""

    def __init__(
        self, trunk: Trunk, affine: SlotAffine | None, *, scale: float, num_slots: int
    ) -> None:
        super().__init__()
        self.trunk, self.affine = trunk, affine
        self._scale, self._num_slots = scale, num_slots
        self.shares_prefix = True

    def checkpoint_gradients(self) -> None:
        """Trade time for memory; blocks that run again cannot share a prefix."""
        self.trunk.checkpoint_gradients()
        self.shares_prefix = False

    def injected(self, v_BD: Tensor) -> Tensor:
        """[B, S, D]: the vector of every slot, of the norm `scale` before the affine maps."""
        # Scaled before the maps: they begin as the identity, so that slots begin at this norm.
        scaled_BD = scaled(v_BD, self._scale)
        if self.affine is not None:
            carried_BSD: Tensor = self.affine(scaled_BD)
            return carried_BSD
        return scaled_BD[:, None].expand(-1, self._num_slots, -1)

    def prefilled(self, prompt: AvPrompt, num_rows: int, cache: Cache) -> int:
        """Run what all rows share once, into the cache; returns how many tokens that is."""
        if prompt.num_shared:
            self.trunk(prompt.ids_T[None, : prompt.num_shared], cache=cache, num_logits=1)
            cache.batch_repeat_interleave(num_rows)
        return prompt.num_shared

    def sites(self, prompt: AvPrompt, v_BD: Tensor, num_before: int) -> Sites:
        """The vectors at their slots, for a forward that begins behind `num_before` tokens."""
        positions_BS = (prompt.positions_S - num_before).expand(len(v_BD), -1)
        return Sites(self.injected(v_BD), positions_BS)

    def num_parts(self, num_positions: int) -> int:
        """The number of parts that so many positions are scored in, where no gradient is wanted."""
        num_logits = num_positions * text_config(self.trunk.model.config).vocab_size
        return max(1, ceil(num_logits * BYTES_OF_LOGIT / BYTES_AT_ONCE))

    def nll(
        self,
        prompt: AvPrompt,
        v_BD: Tensor,
        response_BT: Tensor,
        *,
        num_parts: int | None = None,
    ) -> Tensor:
        """[B, T]: -log p of every token of the responses, which end where IGNORED begins; 0 there.

        Responses are padded on the right, where causal attention never looks from a real token.
        Without gradients logits are made in `num_parts`; None: in as many as keep them small.
        """
        cache = DynamicCache() if self.shares_prefix else None
        num_before = 0 if cache is None else self.prefilled(prompt, len(v_BD), cache)
        # Position t predicts token t + 1: without the last input, the last T logits are those of
        # the response's T tokens. IGNORED is no id, and any id will do behind a response's end.
        prompt_BT = prompt.ids_T[num_before:].expand(len(v_BD), -1)
        inputs_BT = torch.cat([prompt_BT, response_BT.clamp(min=0)], dim=1)[:, :-1]
        sites = self.sites(prompt, v_BD, num_before)
        num_parts = num_parts or self.num_parts(response_BT.numel())
        # With gradients the backward needs all logits, so that parts would save nothing.
        if torch.is_grad_enabled() or num_parts == 1:
            num_logits = response_BT.shape[1]
            logits_BTV = self.trunk(inputs_BT, sites=sites, cache=cache, num_logits=num_logits)
            # Flat: a softmax over the middle dimension would copy all logits first.
            nll_N = _nll(logits_BTV.flatten(0, 1), response_BT.flatten())
            return nll_N.view(response_BT.shape)
        is_said_BT = response_BT != IGNORED
        parts = self.trunk.logits_in_parts(
            inputs_BT, is_said_BT, sites=sites, cache=cache, num_parts=num_parts
        )
        said = response_BT[is_said_BT].tensor_split(num_parts)
        nll_BT = torch.zeros(response_BT.shape, device=response_BT.device)
        nll_BT[is_said_BT] = torch.cat([*map(_nll, parts, said)])
        return nll_BT


def _nll(logits_NV: Tensor, ids_N: Tensor) -> Tensor:
    return functional.cross_entropy(
        logits_NV.float(), ids_N, ignore_index=IGNORED, reduction="none"
    )
