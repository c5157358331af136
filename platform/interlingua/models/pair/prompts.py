"""Token ids of the prompts of AV and AR, and of the AV's responses. Knows no model, no vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interlingua.core.injection import marker_positions
from interlingua.store.contract.check import ar_prompt_ids, av_prompt_ids
from interlingua.store.contract.statement import HOST_FIELD, Contract

OPENING, CLOSING = "<explanation>", "</explanation>"
IGNORED = -100  # what cross entropy leaves out


@dataclass(frozen=True, slots=True)
class AvPrompt:
    """The AV's prompt for one host: the same ids in every row, and where the markers stand."""

    ids_T: Tensor
    positions_S: Tensor

    @property
    def num_shared(self) -> int:
        """Tokens before the first marker: the same for every vector, too."""
        return int(self.positions_S[0])

    def continued(self, ids: Sequence[int]) -> "AvPrompt":
        """The prompt with the beginning of a response behind it."""
        if not ids:
            return self
        behind_T = torch.tensor(ids, device=self.ids_T.device)
        return AvPrompt(torch.cat([self.ids_T, behind_T]), self.positions_S)

    def to(self, device: torch.device | str) -> "AvPrompt":
        """The same on a device."""
        return AvPrompt(self.ids_T.to(device), self.positions_S.to(device))


@dataclass(frozen=True, slots=True)
class EmbeddedPrompt:
    """Ids of a prompt, and rows [M, E] in the place of some, as the first block gets them."""

    ids_T: Tensor
    positions_M: Tensor
    rows_ME: Tensor


def av_prompt(contract: Contract, tokenizer: PreTrainedTokenizerBase, host_tag: str) -> AvPrompt:
    """The prompt for a host's vectors; MarkerMismatch unless its markers stand as recorded."""
    # The tag of a host changes the ids around it: the markers are sought anew in every prompt.
    message = contract.av_message().replace(HOST_FIELD, host_tag)
    ids_1T = torch.tensor([av_prompt_ids(message, tokenizer)])
    positions_1S = marker_positions(
        ids_1T,
        torch.ones_like(ids_1T, dtype=torch.bool),
        marker_id=contract.tokens.marker_id,
        left_id=contract.tokens.left_id,
        right_id=contract.tokens.right_id,
        num_slots=contract.extension.num_slots,
    )
    return AvPrompt(ids_1T[0], positions_1S[0])


def response_ids(tokenizer: PreTrainedTokenizerBase, explanation: str) -> list[int]:
    """The response that an AV learns to give: the explanation in its tags, then the end of text."""
    text = f"{OPENING}\n{explanation}\n{CLOSING}"
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return [*ids, tokenizer.eos_token_id]


def explanation_in(text: str) -> str | None:
    """The explanation between its tags; None where a tag is missing or nothing stands between."""
    _, opening, rest = text.partition(OPENING)
    inside, closing, _ = rest.partition(CLOSING)
    explanation = inside.strip()
    return explanation if opening and closing and explanation else None


def ar_ids(
    contract: Contract, tokenizer: PreTrainedTokenizerBase, explanations: Sequence[str]
) -> list[list[int]]:
    """The AR's prompts of these explanations."""
    return [ar_prompt_ids(contract, tokenizer, explanation) for explanation in explanations]


def right_padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """[B, T] with `fill` behind each row's end."""
    length = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])
