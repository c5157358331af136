"""What others run to read block K: each peer turns a padded batch into the output of that block.

Every peer gets batches in corpus order, as these tools are used, and the same pooling as ours.
Knows no timing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from interlingua.models.hosts.parts import block_output, find_parts

Read = Callable[[Tensor, Tensor], Tensor]  # ids_BT, mask_BT -> h_BTD
Open = Callable[[Path, int, torch.dtype], Read]  # folder, block index, dtype


@dataclass(frozen=True, slots=True)
class Peer:
    """A rival way to read a block."""

    name: str
    package: str
    open: Open
    is_stopped: bool  # at block K; otherwise the whole model runs


def all_peers() -> list[Peer]:
    """Every peer, whether its package is installed or not."""
    return [
        Peer("hook, full forward", "transformers", _open_hook, is_stopped=False),
        Peer("output_hidden_states=True", "transformers", _open_hidden_states, is_stopped=False),
        Peer("nnsight, tracer.stop", "nnsight", _open_nnsight, is_stopped=True),
        Peer(
            "TransformerLens, stop_at_layer",
            "transformer_lens",
            _open_transformer_lens,
            is_stopped=True,
        ),
    ]


def installed_peers() -> tuple[list[Peer], list[str]]:
    """The peers whose package is there, and a line for each other."""
    is_there = {peer.package: find_spec(peer.package) is not None for peer in all_peers()}
    lines = [
        f"NOT RUN: {peer.name}: {peer.package} is not installed; make bench installs it"
        for peer in all_peers()
        if not is_there[peer.package]
    ]
    return [peer for peer in all_peers() if is_there[peer.package]], lines


@torch.no_grad()
def peer_rows(read: Read, ids: Sequence[list[int]], batch_size: int) -> np.ndarray:
    """[N, D] fp32: the mean over every token but the first, batch by batch in corpus order."""
    rows = []
    for start in range(0, len(ids), batch_size):
        ids_BT, mask_BT = padded(ids[start : start + batch_size])
        h_BTD = read(ids_BT, mask_BT).float()
        weights_BT = mask_BT.float()
        weights_BT[:, 0] = 0.0
        weights_BT /= weights_BT.sum(1, keepdim=True)
        rows.append(torch.einsum("bt,btd->bd", weights_BT, h_BTD).numpy())
    return np.concatenate(rows)


def padded(ids: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids padded on the right, and their mask."""
    rows = [torch.tensor(tokens) for tokens in ids]
    masks = [torch.ones_like(row) for row in rows]
    pad = nn.utils.rnn.pad_sequence
    return pad(rows, batch_first=True), pad(masks, batch_first=True)


def num_padded_tokens(ids: Sequence[list[int]], batch_size: int) -> int:
    """How many tokens a peer runs, padding included."""
    starts = range(0, len(ids), batch_size)
    return sum(padded(ids[start : start + batch_size])[0].numel() for start in starts)


def _model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def _open_hook(folder: Path, block_index: int, dtype: torch.dtype) -> Read:
    model = _model(folder, dtype)
    seen: list[Tensor] = []
    block = find_parts(model, check=False).blocks[block_index]
    block.register_forward_hook(lambda _module, _args, output: seen.append(block_output(output)))

    def read(ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        model(ids_BT, attention_mask=mask_BT, use_cache=False)
        return seen.pop()

    return read


def _open_hidden_states(folder: Path, block_index: int, dtype: torch.dtype) -> Read:
    model = _model(folder, dtype)

    def read(ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        output = model(ids_BT, attention_mask=mask_BT, use_cache=False, output_hidden_states=True)
        return output.hidden_states[block_index + 1]

    return read


def _open_nnsight(folder: Path, block_index: int, dtype: torch.dtype) -> Read:
    from nnsight import NNsight

    model = _model(folder, dtype)
    blocks = find_parts(model, check=False).blocks
    path = next(name for name, module in model.named_modules() if module is blocks)
    traced = NNsight(model)
    block = traced
    for name in path.split("."):
        block = getattr(block, name)
    block = block[block_index]

    def read(ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        with traced.trace(ids_BT, attention_mask=mask_BT, use_cache=False) as tracer:
            output = block.output.save()
            tracer.stop()
        return block_output(output)

    return read


def _open_transformer_lens(folder: Path, block_index: int, dtype: torch.dtype) -> Read:
    from transformer_lens.model_bridge import TransformerBridge

    # Its bridge sets eager attention, whatever the model came with: so it is used.
    bridge = TransformerBridge.boot_transformers(
        str(folder), hf_model=_model(folder, dtype), device="cpu", dtype=dtype
    )

    def read(ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        # it stops before the block that it names
        return bridge(
            ids_BT, attention_mask=mask_BT, return_type=None, stop_at_layer=block_index + 1
        )

    return read
