"""Where a sample of an AV ends, and the text that its ids are. Knows no vector, draws nothing.

N samples; the vocabulary V.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interlingua.models.hosts.parts import text_config
from interlingua.models.pair.prompts import CLOSING, explanation_in


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


class Drawn(Protocol):
    """Ids of a text so far."""

    ids: list[int]

    def tail(self, count: int) -> list[int]:
        """The last ids of the text, those of a prefix among them."""


class Ending:
    """The end of a sample: a token that ends a text, or the token that completes its closing tag.

    The tag may be one token or several, which may hold text before and after it. Without a tag
    only tokens end a text.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        closing: str | None = CLOSING,
    ) -> None:
        self._tokenizer, self._closing = tokenizer, closing
        self._end_ids = _end_ids(model, tokenizer)
        self._silent_ids = self._end_ids | {tokenizer.pad_token_id}
        num_ids = text_config(model.config).vocab_size
        self._is_end_V = np.zeros(num_ids, dtype=bool)
        self._is_end_V[list(self._end_ids)] = True
        # Only behind one of these is there anything to decode and look at.
        self._may_close_V = np.zeros(num_ids, dtype=bool)
        vocabulary = tokenizer.get_vocab().items()
        if closing is not None:
            self._may_close_V[[i for token, i in vocabulary if closing[-1] in token]] = True

    def is_reached(self, samples: Sequence[Drawn]) -> np.ndarray:
        """[N]: whether the last id of a sample ends it."""
        last_N = np.array([sample.ids[-1] for sample in samples], dtype=np.int64)
        is_end_N = self._is_end_V[last_N]
        for row in np.flatnonzero(self._may_close_V[last_N] & ~is_end_N):
            assert self._closing is not None
            # A token has at least one character, so that these ids hold the whole tag. The tag is
            # sought in the text, not in the ids: its pieces depend on what stands around it.
            tail = samples[int(row)].tail(len(self._closing))
            is_end_N[row] = self._closing in self._text(tail)
        return is_end_N

    def decoded(
        self, ids: Sequence[int], log_probs: Sequence[float], prefix_ids: Sequence[int] = ()
    ) -> Decoded:
        """The sample of these ids, behind those of a prefix."""
        drawn = [token for token in ids if token not in self._silent_ids]
        text = self._text([*prefix_ids, *drawn])
        is_closed = self._closing is not None and self._closing in text
        return Decoded(tuple(ids), tuple(log_probs), text, is_closed=is_closed)

    def _text(self, ids: list[int]) -> str:
        # The tags may themselves be special tokens.
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    # A model may end a text by other tokens than its tokenizer's eos, as chat models do.
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}
