"""Texts from vectors and vectors from texts, in batches, by a trained pair. Knows no rows.

v: vectors [E] of the shared space; a: those that the AR rebuilds. N rows, B of a batch, T tokens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interlingua.models.activations import LENGTH_LIMITS
from interlingua.models.decoding import Decoded, Decoder
from interlingua.models.parts import text_config
from interlingua.models.prompts import ar_ids, av_prompt, right_padded
from interlingua.models.reconstructor import Reconstructor
from interlingua.models.verbalizer import Verbalizer
from interlingua.specs.training import SamplingSpec
from interlingua.store.contract.statement import Contract


class BatchVerbalizer:
    """The AV with its tokenizer: explanations of vectors of a host."""

    def __init__(
        self,
        verbalizer: Verbalizer,
        tokenizer: PreTrainedTokenizerBase,
        contract: Contract,
        *,
        device: str,
        batch_rows: int,
    ) -> None:
        self._tokenizer, self._contract = tokenizer, contract
        self._decoder = Decoder(verbalizer, tokenizer)
        self._device, self._batch_rows = device, batch_rows

    def verbalize(
        self, host_tag: str, v_NE: Tensor, keys: Sequence[str], spec: SamplingSpec
    ) -> list[list[Decoded]]:
        """The samples of every row of v; `keys`, one a row, and the seed fix the draws."""
        prompt = av_prompt(self._contract, self._tokenizer, host_tag).to(self._device)
        samples = []
        # Rows of the cache are samples: each row of v takes so many.
        step = max(1, self._batch_rows // spec.samples)
        for start in range(0, len(v_NE), step):
            part = slice(start, start + step)
            samples += self._decoder(prompt, v_NE[part].to(self._device), keys[part], spec)
        return samples


class BatchReconstructor:
    """The AR with its tokenizer: the vectors that texts stand for."""

    def __init__(
        self,
        reconstructor: Reconstructor,
        tokenizer: PreTrainedTokenizerBase,
        contract: Contract,
        *,
        device: str,
        batch_rows: int,
    ) -> None:
        self._reconstructor = reconstructor
        self._tokenizer, self._contract = tokenizer, contract
        self._device, self._batch_rows = device, batch_rows

    @torch.no_grad()
    def reconstruct(self, texts: Sequence[str | None]) -> np.ndarray:
        """[N, E]; NaN for a text that is not there, an error for one that the AR cannot read."""
        a_NE = np.full((len(texts), self._reconstructor.width), np.nan, np.float32)
        # Each distinct text once: greedy explanations repeat.
        rows: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if text is not None:
                rows.setdefault(text, []).append(row)
        unique = list(rows)
        ids = ar_ids(self._contract, self._tokenizer, unique)
        # Of all texts before the first batch: one too long fails before any is computed.
        self._check_length(max(map(len, ids), default=0))
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(unique)), key=lambda place: len(ids[place]))
        for start in range(0, len(order), self._batch_rows):
            places = order[start : start + self._batch_rows]
            a_BE = self._reconstruct([ids[place] for place in places])
            for place, a_E in zip(places, a_BE, strict=True):
                a_NE[rows[unique[place]]] = a_E
        return a_NE

    def _check_length(self, num_tokens: int) -> None:
        config = text_config(self._reconstructor.model.config).to_dict()
        for name in LENGTH_LIMITS:
            if num_tokens > (limit := config.get(name) or num_tokens):
                raise ValueError(
                    f"an explanation is {num_tokens} tokens long in its prompt; the AR's trunk "
                    f"reads at most {limit} ({name})"
                )

    def _reconstruct(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        # Any id may pad: the mask hides it.
        ids_BT = right_padded(ids, self._tokenizer.pad_token_id or 0)
        lengths_B1 = torch.tensor([[len(tokens)] for tokens in ids])
        mask_BT = (torch.arange(ids_BT.shape[1]) < lengths_B1).long()
        a_BE = self._reconstructor(ids_BT.to(self._device), mask_BT.to(self._device))
        return a_BE.cpu().numpy()
