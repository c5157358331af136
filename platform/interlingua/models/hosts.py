"""Opens hosts and their tokenizers and reads the residual stream after a block.

A host is a hub id or a local folder; the embedded world's hosts are ordinary folders. Knows
neither passages nor shards, and nothing of training.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils import cached_file, logging

from interlingua.models.parts import HostParts, block_output, find_parts, text_config
from interlingua.specs.hosts import DTYPES

# loading blocks 0..K of these alone is not exact; the forward still stops at K
NOT_TRUNCATED = {
    "gemma4_text": "its per-layer embeddings are one table, and one projection, for all blocks",
}

# what tokenizer classes that rebuild themselves from a vocabulary were seen to change
TOKENIZER_PROBES = (
    "The lamp costs 12345.67 in 1998, don't wait.",
    "two  spaces   three\ttab",
    "\u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c 42",
    "<concept>\u320e</concept> \u320e\u320e x\u320e",
    "line\nnext\n\nparagraph \n",
    " leading and trailing ",
)


class MissingWeights(ValueError):
    """A checkpoint lacks weights of the model: they would silently stay random."""


class TokenizerDrift(ValueError):
    """A tokenizer gives other ids than the tokenizer.json it was opened from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An opened host. `num_blocks` is the published depth, of which some may not be loaded."""

    source: str
    revision: str | None
    model: PreTrainedModel
    parts: HostParts
    num_blocks: int
    width: int

    @property
    def num_loaded_blocks(self) -> int:
        """How many blocks are in memory."""
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
    """A host ready to be read; with `up_to_block` = K only blocks 0..K, where that is exact.

    The device `auto` spreads the model over all devices that there are.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    config = AutoConfig.from_pretrained(source, revision=revision)
    num_blocks = text_config(config).num_hidden_layers
    if up_to_block is not None:
        _check_block(up_to_block, num_blocks)
        config = truncated_config(config, up_to_block + 1)
    model = _load_model(source, config, revision=revision, dtype=dtype, device=device)
    return Host(
        source=source,
        revision=revision,
        model=model,
        parts=find_parts(model, check=check),
        num_blocks=num_blocks,
        width=text_config(config).hidden_size,
    )


def depth_of(source: str, *, revision: str | None = None) -> int:
    """How many blocks a host has, by its configuration alone."""
    config = AutoConfig.from_pretrained(source, revision=revision)
    return int(text_config(config).num_hidden_layers)


def truncated_config(config: PreTrainedConfig, num_blocks: int) -> PreTrainedConfig:
    """The configuration of the first blocks; as it was for the families of NOT_TRUNCATED."""
    config = deepcopy(config)
    text = text_config(config)
    if text.model_type in NOT_TRUNCATED:
        return config
    total = text.num_hidden_layers
    text.num_hidden_layers = num_blocks
    for name, value in vars(text).items():
        # layer_types, no_rope_layers, attention_layers ...: one entry a block
        if isinstance(value, list) and len(value) == total:
            setattr(text, name, value[:num_blocks])
    return config


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


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, tokenizer_json: str) -> None:
    """Raise TokenizerDrift unless the ids are those of the tokenizer.json file."""
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
    """Outputs of several blocks from one forward, which ends at the highest of them."""
    for block_index in block_indices:
        _check_block(block_index, host.num_loaded_blocks)
    if ids_BT.shape != mask_BT.shape:
        raise ValueError(f"ids are {tuple(ids_BT.shape)} but the mask {tuple(mask_BT.shape)}")
    if bool((mask_BT[:, 1:] > mask_BT[:, :-1]).any()):
        raise ValueError("mask_BT pads on the left; activations are read from right-padded batches")
    with _tapped(host.parts.blocks, block_indices) as read:
        host.model(ids_BT, attention_mask=mask_BT, use_cache=False)
    return read


class _AllRead(Exception):
    """Ends a forward once the last wanted block has run."""


@contextmanager
def _tapped(blocks: nn.ModuleList, block_indices: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    read: dict[int, Tensor] = {}
    last = max(block_indices)

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
            return


def _check_block(block_index: int, num_blocks: int) -> None:
    if not 0 <= block_index < num_blocks:
        raise ValueError(f"block_index is {block_index}; the host's blocks are 0..{num_blocks - 1}")


def _load_model(
    source: str, config: PreTrainedConfig, *, revision: str | None, dtype: str, device: str
) -> PreTrainedModel:
    is_causal = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    auto_class = AutoModelForCausalLM if is_causal else AutoModelForImageTextToText
    with _quiet_transformers():
        model, info = auto_class.from_pretrained(
            source,
            config=config,
            revision=revision,
            dtype=dtype,
            device_map=None if device == "cpu" else device,
            output_loading_info=True,
        )
    missing = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
    if missing:
        raise MissingWeights(f"{source} has no weights for {len(missing)} tensors: {missing[:5]}")
    return model


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    # a truncated load reports every weight of the blocks above; what is missing is checked here
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
