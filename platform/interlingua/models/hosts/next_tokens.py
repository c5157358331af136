"""What a host says next after texts, greedily. Knows no explanation and no activation.

Left out: sampling, and a cache between calls.
"""

from collections.abc import Sequence

import torch
from transformers import GenerationConfig

from interlingua.models.hosts.activations import LENGTH_LIMITS
from interlingua.models.hosts.host import Host, load_host, load_tokenizer
from interlingua.models.hosts.parts import text_config


class NextTokens:
    """A whole language model, opened to go on with texts."""

    def __init__(
        self,
        source: str,
        *,
        revision: str | None,
        device: str,
        batch_rows: int,
        dtype: str = "float32",
    ) -> None:
        self._host = load_host(source, dtype=dtype, device=device, revision=revision)
        if self._host.model.get_output_embeddings() is None:
            raise ValueError(
                f"{source} was saved without the head that says the next token: set "
                "ExtractiveTeacher.next_tokens to 0, or name a whole language model"
            )
        self._tokenizer = load_tokenizer(source, revision=revision)
        self._batch_rows = batch_rows

    def next_text(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """What comes after each of the texts, in up to `num_tokens` tokens, without special ones.

        Of a text that is too long for the model the end counts.
        """
        ids = [self._ids(text, num_tokens) for text in texts]
        # Like lengths share a batch: padding is computed, too.
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        said = [""] * len(ids)
        for start in range(0, len(order), self._batch_rows):
            places = order[start : start + self._batch_rows]
            for group in _groups(self._host, [len(ids[place]) for place in places], num_tokens):
                mine = [places[place] for place in group]
                found = self._continued([ids[place] for place in mine], num_tokens)
                for place, text in zip(mine, found, strict=True):
                    said[place] = text
        return said

    def _ids(self, text: str, num_tokens: int) -> list[int]:
        ids: list[int] = self._tokenizer(text, verbose=False)["input_ids"]
        fields = text_config(self._host.model.config).to_dict()
        limits = [limit for name in LENGTH_LIMITS if (limit := fields.get(name)) is not None]
        return ids[-(min(limits) - num_tokens) :] if limits else ids

    @torch.no_grad()
    def _continued(self, ids: Sequence[list[int]], num_tokens: int) -> list[str]:
        model = self._host.model
        device = self._host.parts.embedding.weight.device
        longest = max(map(len, ids))
        # On the left: what is generated must stand right behind every text.
        ids_BT = torch.zeros(len(ids), longest, dtype=torch.long)
        mask_BT = torch.zeros_like(ids_BT)
        for row, tokens in enumerate(ids):
            ids_BT[row, longest - len(tokens) :] = torch.tensor(tokens)
            mask_BT[row, longest - len(tokens) :] = 1
        # A configuration of its own: a checkpoint may bring penalties and sampling with it.
        settings = GenerationConfig(
            max_new_tokens=num_tokens,
            do_sample=False,
            eos_token_id=self._tokenizer.eos_token_id,
            pad_token_id=self._tokenizer.eos_token_id or 0,
        )
        out_BT = model.generate(
            ids_BT.to(device), attention_mask=mask_BT.to(device), generation_config=settings
        )
        found: list[str] = self._tokenizer.batch_decode(
            out_BT[:, longest:], skip_special_tokens=True
        )
        return found


def _groups(host: Host, lengths: Sequence[int], num_tokens: int) -> list[list[int]]:
    """The places of texts that may share a forward, also when they have grown."""
    if host.lengths is None:
        return [list(range(len(lengths)))]
    return host.lengths.groups([length + num_tokens for length in lengths])
