"""Opens hosts and their tokenizers and reads the residual stream after a block.

A host is a hub id or a local folder; the embedded world's hosts are ordinary folders. Knows
neither passages nor shards, and nothing of training. h: the residual stream; B texts, T tokens,
D the host's width.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import cached_file

from interlingua.models.hosts.checkpoint import decoder_config, with_weights, without_weights
from interlingua.models.hosts.cut import cut_class
from interlingua.models.hosts.lengths import LengthRule, length_rule
from interlingua.models.hosts.parts import (
    HostParts,
    block_output,
    find_blocks,
    find_parts,
    text_config,
)
from interlingua.specs.hosts import DTYPES

# what tokenizer classes that rebuild themselves from a vocabulary were seen to change
TOKENIZER_PROBES = (
    "The lamp costs 12345.67 in 1998, don't wait.",
    "two  spaces   three\ttab",
    "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c 42",
    "<concept>\u320e</concept> \u320e\u320e x\u320e",
    "line\nnext\n\nparagraph \n",
    " leading and trailing ",
)


class TokenizerDrift(ValueError):
    """A tokenizer gives other ids than the tokenizer.json it was opened from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An opened host. `num_blocks` is the published depth, of which some may not be loaded.

    `lengths` says which texts may share a forward; None: all.
    """

    source: str
    revision: str | None
    model: PreTrainedModel
    parts: HostParts
    num_blocks: int
    width: int
    lengths: LengthRule | None

    @property
    def num_loaded_blocks(self) -> int:
        """The number of blocks in memory."""
        return len(self.parts.blocks)


def load_host(
    source: str,
    *,
    dtype: str,
    device: str = "cpu",
    up_to_block: int | None = None,
    revision: str | None = None,
    check: bool = True,
) -> Host:
    """A host ready to be read; with `up_to_block` = K only blocks 0..K are in memory.

    The device `auto` spreads the model over all devices; without `check` its parts are not proved.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    config = decoder_config(source, revision)
    # The blocks are found in the whole model: their list is known by its published length, which a
    # cut model no longer has.
    whole = without_weights(source, config)
    blocks_path, model_class = find_blocks(whole), type(whole)
    num_blocks = text_config(config).num_hidden_layers
    if up_to_block is not None:
        _check_block(up_to_block, num_blocks)
        model_class = cut_class(model_class, blocks_path, up_to_block + 1)
    model = with_weights(
        model_class, source, whole.config, revision=revision, dtype=dtype, device=device
    )
    return Host(
        source=source,
        revision=revision,
        model=model,
        parts=find_parts(model, blocks_path=blocks_path, check=check),
        num_blocks=num_blocks,
        width=text_config(config).hidden_size,
        lengths=length_rule(config),
    )


def load_tokenizer(source: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer with exactly the ids of tokenizer.json, where the source has one.

    AutoTokenizer may choose a class by the model_type beside it that keeps only the vocabulary and
    brings its own pre-tokenizer.
    """
    path = cached_file(
        source, "tokenizer.json", revision=revision, _raise_exceptions_for_missing_entries=False
    )
    if path is None:
        return AutoTokenizer.from_pretrained(source, revision=revision)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source, revision=revision)
    check_tokenizer(tokenizer, path)
    return tokenizer


def hash_of_vocabulary(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash that tokenizers of one vocabulary share."""
    vocabulary = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(repr(vocabulary).encode()).hexdigest()[:16]


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, tokenizer_json: str) -> None:
    """Raise TokenizerDrift unless the ids are those of the tokenizer.json file."""
    # The file itself, read by the library that wrote it: no class of transformers stands between.
    truth = Tokenizer.from_file(tokenizer_json)
    truth.no_truncation()
    truth.no_padding()
    for text in TOKENIZER_PROBES:
        found = tokenizer.encode(text, add_special_tokens=False)
        expected = truth.encode(text, add_special_tokens=False).ids
        if found != expected:
            raise TokenizerDrift(
                f"{type(tokenizer).__name__} encodes {text!r} as {found}, {tokenizer_json} as "
                f"{expected} (symptom: activations of a text the host never saw)"
            )


def read_block(host: Host, ids_BT: Tensor, mask_BT: Tensor, block_index: int) -> Tensor:
    """Output of block K for a right-padded batch: HF's hidden_states[K+1], the norm not applied."""
    return read_blocks(host, ids_BT, mask_BT, (block_index,))[block_index]


@torch.no_grad()
def read_blocks(
    host: Host, ids_BT: Tensor, mask_BT: Tensor, block_indices: Sequence[int]
) -> dict[int, Tensor]:
    """Outputs of several blocks from one forward, which ends at the highest of them.

    Texts whose lengths forbid that they share a forward are read in groups
    (models/hosts/lengths.py); the outputs at padding are then zero.
    """
    for block_index in block_indices:
        _check_block(block_index, host.num_loaded_blocks)
    if ids_BT.shape != mask_BT.shape:
        raise ValueError(f"ids are {tuple(ids_BT.shape)} but the mask {tuple(mask_BT.shape)}")
    if bool((mask_BT[:, 1:] > mask_BT[:, :-1]).any()):
        raise ValueError("mask_BT pads on the left; activations are read from right-padded batches")
    if host.lengths is None:
        return _forward_to(host, ids_BT, mask_BT, block_indices)
    read: dict[int, Tensor] = {}
    # Each group is cut to its own longest text: padding alone can stretch the encoding of a batch.
    lengths = mask_BT.sum(1).tolist()
    for rows in host.lengths.groups(lengths):
        num_tokens = max(1, *(lengths[row] for row in rows))
        place = rows, slice(num_tokens)
        part = _forward_to(host, ids_BT[place], mask_BT[place], block_indices)
        for index, h_BTD in part.items():
            padded_BTD = read.setdefault(index, h_BTD.new_zeros(*ids_BT.shape, host.width))
            padded_BTD[place] = h_BTD
    return read


def _forward_to(
    host: Host, ids_BT: Tensor, mask_BT: Tensor, block_indices: Sequence[int]
) -> dict[int, Tensor]:
    if host.lengths is not None and host.lengths.is_stretched_after:
        # a text of one token brings the encoding back to where it began
        with _tapped(host.parts.blocks, block_indices):
            host.model(ids_BT[:1, :1], use_cache=False)
    with _tapped(host.parts.blocks, block_indices) as read:
        host.model(ids_BT, attention_mask=mask_BT, use_cache=False)
    return read


class _AllRead(Exception):
    """Ends a forward once the last wanted block has run."""


@contextmanager
def _tapped(blocks: nn.ModuleList, block_indices: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    read: dict[int, Tensor] = {}
    last = max(block_indices)

    # By hooks, not by output_hidden_states: that keeps every block's output, and its last entry is
    # after the final norm.
    def keep(block_index: int, output: Any) -> None:
        read[block_index] = block_output(output)
        if block_index == last:
            raise _AllRead

    with ExitStack() as hooks:
        for block_index in set(block_indices):
            handle = blocks[block_index].register_forward_hook(
                lambda _module, _args, output, index=block_index: keep(index, output)
            )
            hooks.callback(handle.remove)
        try:
            yield read
        except _AllRead:
            # Swallowed here: the block of the caller ends, and nothing above `last` is computed.
            return


def _check_block(block_index: int, num_blocks: int) -> None:
    if not 0 <= block_index < num_blocks:
        raise ValueError(f"block_index is {block_index}; the host's blocks are 0..{num_blocks - 1}")
