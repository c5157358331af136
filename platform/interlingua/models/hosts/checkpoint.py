"""A checkpoint's language model, by its configuration alone or with its weights.

Knows no block. Loads offline what is in a folder, and from the hub what is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_MAPPING_NAMES,
)
from transformers.utils import logging


class NotADecoder(ValueError):
    """A checkpoint is of a model that has no decoder, and so no residual stream to read."""


class MissingWeights(ValueError):
    """A checkpoint lacks weights of the model: they would silently stay random."""


def decoder_config(source: str, revision: str | None) -> PreTrainedConfig:
    """The configuration of a checkpoint that may be a host."""
    config = AutoConfig.from_pretrained(source, revision=revision)
    if config.is_encoder_decoder:
        raise NotADecoder(
            f"{source} is an encoder-decoder ({config.model_type}) and has no single residual "
            "stream; name a decoder-only language model"
        )
    return config


def without_weights(source: str, config: PreTrainedConfig) -> PreTrainedModel:
    """The whole model on the meta device: its class, and where its blocks are."""
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        auto_class: Any = AutoModelForCausalLM
    elif type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        auto_class = AutoModelForImageTextToText
    else:
        raise NotADecoder(
            f"{source}: transformers has no language model of the type {config.model_type}; name "
            "a decoder-only language model"
        )
    if _is_bare(config):
        auto_class = AutoModel
    # meta: shapes and module paths are all that is asked here, and they take no memory.
    with torch.device("meta"):
        return auto_class.from_config(deepcopy(config))


def with_weights(
    model_class: type[PreTrainedModel],
    source: str,
    config: PreTrainedConfig,
    *,
    revision: str | None,
    dtype: str,
    device: str,
) -> PreTrainedModel:
    """The model of this class, every weight of it read from the checkpoint.

    The device `auto` spreads it over all devices that there are.
    """
    with quiet_transformers():
        model, info = model_class.from_pretrained(
            source,
            config=config,
            revision=revision,
            dtype=dtype,
            device_map=None if device == "cpu" else device,
            output_loading_info=True,
        )
    # transformers only warns of missing weights, and leaves them random.
    missing = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
    if missing:
        raise MissingWeights(f"{source} has no weights for {len(missing)} tensors: {missing[:5]}")
    return model


def _is_bare(config: PreTrainedConfig) -> bool:
    """True where only the backbone was saved: its language model would lack a head."""
    is_backbone = config.architectures == [MODEL_MAPPING_NAMES.get(config.model_type)]
    # a tied head is the embedding: nothing of the language model is missing
    return is_backbone and not config.tie_word_embeddings


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No warnings and no bars of transformers inside."""
    # a cut load reports every weight of the blocks above; what is missing is checked here
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
