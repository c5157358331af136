"""Explanations drawn from an AV, many rows at a time. Knows no host and judges no text.

What a row says depends on nothing else in its batch: every draw is fixed by one uniform number of
its own. Left out: top-k, top-p and beams (a policy's loss must see the distribution that was drawn
from), and captured graphs for a GPU.

N samples, R of them in the cache, M of those not ended; the vocabulary V as K blocks of C ids.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

from interlingua.models.buffered_cache import buffered_cache, require_plain_cache
from interlingua.models.grouped_attention import grouped_attention
from interlingua.models.parts import text_config
from interlingua.models.prompts import CLOSING, AvPrompt, explanation_in
from interlingua.models.verbalizer import Verbalizer
from interlingua.specs.training import SamplingSpec

# Samples that have ended cost a step as much as others; to drop them costs a copy of the others.
DROPPED_SHARE = 0.25
# Tokens of the vocabulary whose probabilities a draw first sees as one sum; most vocabularies are
# a multiple of it, and need no copy to be cut into blocks.
BLOCK = 128
# A target at the very end of a sum would find an id behind the last one.
BELOW_ONE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Decoded:
    """One sample. Its ids end with the one that ended it; they are never made from its text again.

    `log_probs` are of the model's own distribution, whatever the temperature of the draws.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    text: str  # with its tags
    is_closed: bool  # its closing tag is there

    @property
    def explanation(self) -> str | None:
        """The text between the tags; None where they are not closed, or around nothing."""
        return explanation_in(self.text) if self.is_closed else None


class Decoder:
    """Draws samples from an AV as it is at the time of a call."""

    def __init__(self, verbalizer: Verbalizer, tokenizer: PreTrainedTokenizerBase) -> None:
        require_plain_cache(verbalizer.trunk.model)
        self._verbalizer = verbalizer
        self._ending = Ending(verbalizer.trunk.model, tokenizer)

    @torch.no_grad()
    def __call__(
        self, prompt: AvPrompt, v_BD: Tensor, keys: Sequence[str], spec: SamplingSpec
    ) -> list[list[Decoded]]:
        """`spec.samples` samples of every row; the seed and a row's key fix its draws."""
        _require_rows(v_BD, keys)
        # With dropout on, a second pass over a sample would not find its log_probs again.
        was_training = self._verbalizer.training
        self._verbalizer.eval()
        try:
            with grouped_attention(self._verbalizer.trunk.model):
                samples = self._samples(prompt, v_BD, uniforms(keys, spec), spec)
        finally:
            self._verbalizer.train(was_training)
        return [samples[i : i + spec.samples] for i in range(0, len(samples), spec.samples)]

    def _samples(
        self, prompt: AvPrompt, v_BD: Tensor, uniforms_NT: Tensor, spec: SamplingSpec
    ) -> list[Decoded]:
        """The loop over tokens; the samples in the cache go in lockstep, also where some ended."""
        cache = buffered_cache(len(prompt.ids_T) + spec.max_new_tokens)
        logits_RV = self._first_logits(prompt, v_BD, spec.samples, cache)
        drawn = _Drawn(uniforms_NT.to(logits_RV.device))
        while True:
            ids_R = drawn.extend(logits_RV, spec.temperature)
            has_ended_R = drawn.end(self._ending)
            if has_ended_R.all():
                return drawn.samples(self._ending)
            # An ended sample that stays draws on; what it draws lies behind its length, unused.
            if has_ended_R.mean() >= DROPPED_SHARE:
                running_R = drawn.drop_ended()
                cache.batch_select_indices(running_R)
                ids_R = ids_R[running_R]
            logits_RV = self._verbalizer.trunk(ids_R[:, None], cache=cache, num_logits=1)[:, 0]

    def _first_logits(
        self, prompt: AvPrompt, v_BD: Tensor, num_samples: int, cache: Cache
    ) -> Tensor:
        """The logits after the prompt: its beginning is run once, the rest once for every row."""
        num_before = self._verbalizer.prefilled(prompt, len(v_BD), cache)
        logits_BTV = self._verbalizer.trunk(
            prompt.ids_T[num_before:].expand(len(v_BD), -1),
            sites=self._verbalizer.sites(prompt, v_BD, num_before),
            cache=cache,
            num_logits=1,
        )
        # Samples of a row stand together, as in `uniforms`: another order would swap their draws.
        cache.batch_repeat_interleave(num_samples)
        return logits_BTV[:, 0].repeat_interleave(num_samples, dim=0)


class _Drawn:
    """The ids of N samples so far, and which of them are the R in the cache."""

    def __init__(self, uniforms_NT: Tensor) -> None:
        self._uniforms_NT = uniforms_NT
        self._log_probs_NT = torch.zeros_like(uniforms_NT, dtype=torch.float32)
        self._ids_NT = np.zeros(uniforms_NT.shape, dtype=np.int64)
        self._lengths_N = np.zeros(len(uniforms_NT), dtype=np.int64)  # 0: has not ended
        self._num_steps = 0
        self._hold(torch.arange(len(uniforms_NT), device=uniforms_NT.device))

    def extend(self, logits_RV: Tensor, temperature: float) -> Tensor:
        """Draw one more id for every sample in the cache."""
        uniforms_R = self._uniforms_NT[self._held_R, self._num_steps]
        ids_R, log_probs_R = draw(logits_RV, uniforms_R, temperature)
        self._log_probs_NT[self._held_R, self._num_steps] = log_probs_R
        self._ids_NT[self._rows_R, self._num_steps] = ids_R.cpu()  # the one wait for the device
        self._num_steps += 1
        return ids_R

    def end(self, ending: "Ending") -> np.ndarray:
        """[R]: which samples have ended, by their last id or with their last step."""
        running_R = self._lengths_N[self._rows_R] == 0
        rows_M = self._rows_R[running_R]
        is_end_M = ending.is_reached(self._ids_NT[rows_M, : self._num_steps])
        is_end_M |= self._num_steps == self._ids_NT.shape[1]
        self._lengths_N[rows_M[is_end_M]] = self._num_steps
        return self._lengths_N[self._rows_R] > 0

    def drop_ended(self) -> Tensor:
        """Drop what has ended; returns the places in the cache of what stays."""
        running_R = torch.from_numpy(np.flatnonzero(self._lengths_N[self._rows_R] == 0))
        running_R = running_R.to(self._held_R.device)
        self._hold(self._held_R[running_R])
        return running_R

    def samples(self, ending: "Ending") -> list[Decoded]:
        """All N samples, in the order of their rows."""
        log_probs_NT = self._log_probs_NT.tolist()
        return [
            ending.decoded(ids_T[:length], log_probs_T[:length])
            for ids_T, log_probs_T, length in zip(
                self._ids_NT.tolist(), log_probs_NT, self._lengths_N.tolist(), strict=True
            )
        ]

    def _hold(self, held_R: Tensor) -> None:
        self._held_R, self._rows_R = held_R, held_R.cpu().numpy()


class Ending:
    """The end of a sample: a token that ends a text, or the token that completes its closing tag.

    The tag may be one token or several, which may hold text before and after it.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._end_ids = _end_ids(model, tokenizer)
        self._silent_ids = self._end_ids | {tokenizer.pad_token_id}
        num_ids = text_config(model.config).vocab_size
        self._is_end_V = np.zeros(num_ids, dtype=bool)
        self._is_end_V[list(self._end_ids)] = True
        # Only behind one of these is there anything to decode and look at.
        self._may_close_V = np.zeros(num_ids, dtype=bool)
        vocabulary = tokenizer.get_vocab().items()
        self._may_close_V[[i for token, i in vocabulary if CLOSING[-1] in token]] = True

    def is_reached(self, ids_NT: np.ndarray) -> np.ndarray:
        """[N]: whether the last id of a sample ends it."""
        last_N = ids_NT[:, -1]
        is_end_N = self._is_end_V[last_N]
        for row in np.flatnonzero(self._may_close_V[last_N] & ~is_end_N):
            # A token has at least one character, so that these ids hold the whole tag. The tag is
            # sought in the text, not in the ids: its pieces depend on what stands around it.
            is_end_N[row] = CLOSING in self._text(ids_NT[row, -len(CLOSING) :].tolist())
        return is_end_N

    def decoded(self, ids: list[int], log_probs: list[float]) -> Decoded:
        """The sample of these ids."""
        text = self._text([token for token in ids if token not in self._silent_ids])
        return Decoded(tuple(ids), tuple(log_probs), text, is_closed=CLOSING in text)

    def _text(self, ids: list[int]) -> str:
        # The tags may themselves be special tokens.
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


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


def draw(logits_RV: Tensor, uniforms_R: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """An id for every row, and its log probability at temperature 1.

    At `temperature` 0 it is the likeliest id; the uniform numbers are then not used.
    """
    # A copy, also of fp32: the line below writes in place. The largest logit becomes 0, so that
    # exp cannot overflow and the sum of the weights is at least 1.
    shifted_RV = logits_RV.to(torch.float32, copy=True)
    shifted_RV -= shifted_RV.amax(-1, keepdim=True)
    weights_RKC = _blocks(shifted_RV)
    if temperature == 0:
        ids_R = shifted_RV.argmax(-1)
    elif temperature == 1:
        ids_R = _inverse_cdf(weights_RKC, uniforms_R)
    else:
        ids_R = _inverse_cdf(_blocks(shifted_RV / temperature), uniforms_R)
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


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    # A model may end a text by other tokens than its tokenizer's eos, as chat models do.
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}


def _require_rows(v_BD: Tensor, keys: Sequence[str]) -> None:
    if len(keys) != len(v_BD):
        raise ValueError(f"{len(v_BD)} rows have {len(keys)} keys")
    is_finite_B = v_BD.isfinite().all(-1).tolist()
    if bad := [key for key, is_finite in zip(keys, is_finite_B, strict=True) if not is_finite]:
        raise ValueError(f"the vectors of {', '.join(bad)} are not finite; nothing was drawn")
