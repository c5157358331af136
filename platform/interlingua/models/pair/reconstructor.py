"""The AR: the first blocks of a trunk and a value head, from a text to a vector.

Knows no host: one vector serves every host that shares the space. A text is read at its last
token, right-padded, so that a row does not depend on its batch. B texts, T tokens, D the trunk's
width, which is that of the shared space.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interlingua.core.injection import scaled
from interlingua.models.hosts.parts import HostParts
from interlingua.specs.injection import Readout


class Reconstructor(nn.Module):
    """Blocks 0..K of a trunk, without the norm behind them, and a value head."""

    def __init__(
        self, model: PreTrainedModel, parts: HostParts, *, block_index: int, readout: Readout
    ) -> None:
        super().__init__()
        if len(parts.blocks) != block_index + 1:
            raise ValueError(
                f"the AR's trunk has {len(parts.blocks)} blocks; "
                f"ArSpec.block_index {block_index} needs {block_index + 1}"
            )
        self.model = _without(model.base_model, parts.final_norm)
        self.width = parts.embedding.embedding_dim
        self._readout = readout
        self.value_head = ValueHead(self.width, self.width, bias=False)
        # A random head would shrink the vector and turn it: the trunk's own is a better start.
        nn.init.eye_(self.value_head.weight)

    def checkpoint_gradients(self) -> None:
        """Trade time for memory: keep only block inputs for the backward."""
        self.model.activation_checkpointing_enable({"use_reentrant": False})

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """[B, D] in fp32: the value head's output at the last real token of every row."""
        # Padded on the left, the index below would point at another token, without an error.
        is_left_padded_BT = mask_BT[:, 1:] > mask_BT[:, :-1]
        if bool(is_left_padded_BT.any() | (mask_BT[:, 0] == 0).any()):
            raise ValueError("mask_BT pads on the left, or holds an empty text")
        output = self.model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False)
        rows_B = torch.arange(len(ids_BT), device=ids_BT.device)
        h_BD = output.last_hidden_state[rows_B, mask_BT.sum(1) - 1]
        if self._readout is Readout.NORMALIZED:
            h_BD = scaled(h_BD, self.width**0.5)
        # Called, its weight not read: outside a step ZeRO 3 gathers what a module runs with alone.
        vector_BD: Tensor = self.value_head(h_BD)
        return vector_BD.float()


class ValueHead(nn.Linear):
    """A linear map that works in the dtype of its weight, whatever the trunk's is."""

    def forward(self, h_BD: Tensor) -> Tensor:
        """The product of every row with the weight."""
        return super().forward(h_BD.to(self.weight.dtype))


def _without(model: PreTrainedModel, final_norm: nn.Module | None) -> PreTrainedModel:
    """The model with the identity for its final norm: the stream as the last block leaves it."""
    # By identity, not by name: what families call their final norm differs.
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child is final_norm:
                setattr(parent, name, nn.Identity())
    return model
