"""Ids drawn from logits, each by one uniform number of its own. Knows no model and no text.

R rows; the vocabulary V as K blocks of C ids; N samples, T steps.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from interlingua.specs.training import SamplingSpec

# Tokens of the vocabulary whose probabilities a draw first sees as one sum; most vocabularies are
# a multiple of it, and need no copy to be cut into blocks.
BLOCK = 128
MOST_LIKELY = 256  # that are sorted first to find the likeliest
# A target at the very end of a sum would find an id behind the last one.
BELOW_ONE = 1 - 1e-12


def uniforms(keys: Sequence[str], spec: SamplingSpec) -> Tensor:
    """[N, T]: a number in [0, 1) by seed, key, sample and step alone; samples of a row together."""
    return torch.from_numpy(
        np.stack(
            [
                _generator(f"{spec.seed}|{sample}|{key}").random(spec.max_new_tokens)
                for key in keys
                for sample in range(spec.samples)
            ]
        )
    )


def draw(
    logits_RV: Tensor,
    uniforms_R: Tensor,
    temperature: float,
    banned_RV: Tensor | None = None,
    *,
    top_p: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """An id for every row, and its log probability at temperature 1.

    At `temperature` 0 it is the likeliest id; the uniform numbers are then not used. Banned ids are
    not drawn, nor those behind the likeliest that together reach `top_p` at this temperature; log
    probabilities stay those of the whole vocabulary.
    """
    # A copy, also of fp32: the line below writes in place. The largest logit becomes 0, so that
    # exp cannot overflow and the sum of the weights is at least 1.
    shifted_RV = logits_RV.to(torch.float32, copy=True)
    shifted_RV -= shifted_RV.amax(-1, keepdim=True)
    weights_RKC = _blocks(shifted_RV)
    allowed_RV = shifted_RV
    if banned_RV is not None:
        allowed_RV = shifted_RV.masked_fill(banned_RV, -torch.inf)
        # The largest of what is left becomes 0: of small ones alone all weights could vanish.
        allowed_RV -= allowed_RV.amax(-1, keepdim=True)
    if temperature == 0:
        ids_R = allowed_RV.argmax(-1)
    elif temperature == 1 and top_p == 1 and banned_RV is None:
        ids_R = _inverse_cdf(weights_RKC, uniforms_R)
    else:
        scores_RV = allowed_RV / temperature
        if top_p < 1:
            scores_RV.masked_fill_(~_is_likely(scores_RV, top_p), -torch.inf)
        ids_R = _inverse_cdf(_blocks(scores_RV), uniforms_R)
    # The normaliser of temperature 1, whatever the temperature of the draw.
    total_R = weights_RKC.sum(-1).double().sum(-1)
    log_probs_R = shifted_RV.gather(1, ids_R[:, None])[:, 0] - total_R.log()
    return ids_R, log_probs_R.float()


def _blocks(shifted_RV: Tensor) -> Tensor:
    """exp of the logits in blocks of the vocabulary, with zeros behind its end."""
    weights_RV = shifted_RV.exp()
    if padding := -weights_RV.shape[1] % BLOCK:
        weights_RV = functional.pad(weights_RV, (0, padding))
    return weights_RV.unflatten(1, (-1, BLOCK))


def _is_likely(scores_RV: Tensor, top_p: float) -> Tensor:
    """[R, V]: the likeliest ids that together reach `top_p`, with all as likely as the last."""
    weights_RV = scores_RV.exp()
    total_R1 = weights_RV.double().sum(-1, keepdim=True)
    num_ids = weights_RV.shape[1]
    # Nearly always a few ids are enough, and to sort the whole vocabulary takes ten times as long.
    for count in (min(MOST_LIKELY, num_ids), num_ids):
        largest_RK = weights_RV.topk(count).values
        is_below_RK = largest_RK.double().cumsum(-1) < top_p * total_R1
        if not bool(is_below_RK[:, -1].any()):
            break
    last_R1 = is_below_RK.sum(-1, keepdim=True).clamp(max=count - 1)
    return weights_RV >= largest_RK.gather(1, last_R1)


def _inverse_cdf(weights_RKC: Tensor, uniforms_R: Tensor) -> Tensor:
    """The first id up to which the share of the weights is above the uniform number.

    Sums over the whole vocabulary are fp64: in fp32 its tail would never be drawn, or too often.
    """
    masses_RK = weights_RKC.sum(-1).double()
    ends_RK = masses_RK.cumsum(-1)
    targets_R1 = uniforms_R[:, None].clamp(max=BELOW_ONE) * ends_RK[:, -1:]
    # right: the first end above the target, so that a block without weight is never chosen.
    block_R1 = torch.searchsorted(ends_RK, targets_R1, right=True)
    mass_R1 = masses_RK.gather(1, block_R1)
    # How far into its block the target lies: the same share of the block's sum, taken anew in fp64,
    # because its fp32 mass and the fp64 sum of its weights differ in the last digits.
    share_R1 = 1 - (ends_RK.gather(1, block_R1) - targets_R1) / mass_R1
    chosen_R1C = block_R1[..., None].expand(-1, -1, weights_RKC.shape[2])
    ends_RC = weights_RKC.gather(1, chosen_R1C)[:, 0].double().cumsum(-1)
    # Kept within [0, 1): a token of probability 0 is never drawn.
    targets_R1 = share_R1.clamp(0, BELOW_ONE) * ends_RC[:, -1:]
    place_R1 = torch.searchsorted(ends_RC, targets_R1, right=True)
    return (block_R1 * weights_RKC.shape[2] + place_R1)[:, 0]


def _generator(name: str) -> np.random.Generator:
    # Keyed by a hash, not by a running state: neither order nor machine changes a draw.
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
