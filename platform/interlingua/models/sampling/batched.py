"""Texts from vectors and vectors from texts, in batches, by a trained pair. Knows no rows.

v: vectors [E] of the shared space; a: those that the AR rebuilds. N rows, B of a batch, T tokens.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interlingua.models.hosts.activations import LENGTH_LIMITS
from interlingua.models.hosts.parts import text_config
from interlingua.models.pair.prompts import (
    CLOSING,
    IGNORED,
    AvPrompt,
    EmbeddedPrompt,
    ar_ids,
    av_prompt,
    response_ids,
    right_padded,
)
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.decoding import Decoder, OnDrawn
from interlingua.models.sampling.ending import Decoded
from interlingua.specs.training import SamplingSpec
from interlingua.store.contract.check import av_prompt_ids
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
        self._num_ids = text_config(verbalizer.trunk.model.config).vocab_size
        self.verbalizer, self.decoder = verbalizer, Decoder(verbalizer, tokenizer)
        self._device, self._batch_rows = device, batch_rows
        self._prompts: dict[str, AvPrompt] = {}

    def verbalize(
        self,
        host_tag: str,
        v_NE: Tensor,
        keys: Sequence[str],
        spec: SamplingSpec,
        *,
        banned: Sequence[int] = (),
        prefix: str = "",
        on_drawn: OnDrawn | None = None,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[list[Decoded]]:
        """The samples of every row of v; `keys`, one a row, and the seed fix the draws.

        `on_batch` is called with the number of rows that are done.
        """
        prompt, banned_V = self.prompt(host_tag), self.banned(banned)
        prefix_ids = self.prefix_ids(prefix)
        samples: list[list[Decoded]] = []
        # Rows of the cache are samples: each row of v takes so many.
        step = max(1, self._batch_rows // spec.samples)
        for start in range(0, len(v_NE), step):
            part = slice(start, start + step)
            samples += self.decoder(
                prompt,
                v_NE[part].to(self._device),
                keys[part],
                spec,
                banned_V=banned_V,
                prefix_ids=prefix_ids,
                on_drawn=_behind(on_drawn, start * spec.samples),
            )
            if on_batch is not None:
                on_batch(len(samples))
        return samples

    @torch.no_grad()
    def nll(self, host_tag: str, v_NE: Tensor, texts: Sequence[str]) -> tuple[np.ndarray, ...]:
        """-log p [N] of every text as the explanation of its row of v, and its tokens [N]."""
        prompt = self.prompt(host_tag)
        ids = [response_ids(self._tokenizer, text) for text in texts]
        nll_N, num_tokens_N = np.zeros(len(ids)), np.array([len(one) for one in ids], int)
        # Texts of like length share a batch, so that little of it is padding.
        order = np.argsort(num_tokens_N, kind="stable")
        for start in range(0, len(order), self._batch_rows):
            rows = order[start : start + self._batch_rows]
            response_BT = right_padded([ids[row] for row in rows], IGNORED).to(self._device)
            v_BE = v_NE[torch.from_numpy(rows)].to(self._device)
            nll_BT = self.verbalizer.nll(prompt, v_BE, response_BT)
            nll_N[rows] = nll_BT.double().sum(1).cpu().numpy()
        return nll_N, num_tokens_N

    def prompt(self, host_tag: str) -> AvPrompt:
        """The prompt of a host's vectors, where the AV is."""
        # Made once: a server asks for it at every request.
        if host_tag not in self._prompts:
            prompt = av_prompt(self._contract, self._tokenizer, host_tag).to(self._device)
            self._prompts[host_tag] = prompt
        return self._prompts[host_tag]

    def embedded_prompt(
        self, parts: Sequence[str | np.ndarray], *, as_chat: bool
    ) -> EmbeddedPrompt:
        """Texts and rows [M, E] of input embeddings, in this order, as one prompt.

        As a chat they are one message in the trunk's template; else they are the whole prompt.
        """
        marker, marker_id = self._contract.tokens.marker, self._contract.tokens.marker_id
        # Rows are marked by the bundle's own marker, which is one token wherever it stands.
        if any(isinstance(part, str) and marker in part for part in parts):
            raise ValueError(f"a text holds the marker {marker!r}, which stands for a vector")
        text = "".join(part if isinstance(part, str) else marker * len(part) for part in parts)
        if as_chat:
            ids = av_prompt_ids(text, self._tokenizer)
        else:
            ids = self._tokenizer.encode(text, add_special_tokens=False)
        ids_T = torch.tensor(ids, dtype=torch.long)
        positions_M = (ids_T == marker_id).nonzero()[:, 0]
        rows = [np.asarray(part, np.float32) for part in parts if not isinstance(part, str)]
        rows_ME = np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)
        if not len(ids_T) or len(positions_M) != len(rows_ME):
            raise ValueError(
                f"{len(rows_ME)} embeddings became {len(positions_M)} tokens of a prompt of "
                f"{len(ids_T)}"
            )
        return EmbeddedPrompt(
            ids_T.to(self._device),
            positions_M.to(self._device),
            torch.from_numpy(rows_ME).to(self._device),
        )

    def banned(self, ids: Sequence[int]) -> Tensor | None:
        """[V]: which ids are banned; None where none is."""
        if not len(ids):
            return None
        odd = [token for token in ids if not 0 <= token < self._num_ids]
        if odd or len(set(ids)) == self._num_ids:
            raise ValueError(
                f"banned holds {odd[0] if odd else 'every id'}; ids are 0 to {self._num_ids - 1}, "
                "and one of them must be left"
            )
        banned_V = torch.zeros(self._num_ids, dtype=torch.bool)
        banned_V[list(ids)] = True
        return banned_V.to(self._device)

    def prefix_ids(self, prefix: str) -> list[int]:
        """The ids that a text begins with."""
        if CLOSING in prefix:
            raise ValueError(f"prefix holds {CLOSING}, behind which nothing is drawn")
        ids: list[int] = self._tokenizer.encode(prefix, add_special_tokens=False) if prefix else []
        return ids


def _behind(on_drawn: OnDrawn | None, start: int) -> OnDrawn | None:
    """The callback with the samples of earlier batches counted."""
    if on_drawn is None:
        return None
    return lambda number, decoded: on_drawn(start + number, decoded)


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
        self.reconstructor = reconstructor
        self._tokenizer, self._contract = tokenizer, contract
        self._device, self._batch_rows = device, batch_rows

    @torch.no_grad()
    def reconstruct(self, texts: Sequence[str | None]) -> np.ndarray:
        """[N, E]; NaN for a text that is not there, an error for one that the AR cannot read."""
        a_NE = np.full((len(texts), self.reconstructor.width), np.nan, np.float32)
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
        config = text_config(self.reconstructor.model.config).to_dict()
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
        a_BE = self.reconstructor(ids_BT.to(self._device), mask_BT.to(self._device))
        return a_BE.cpu().numpy()
