"""Depth and dimensions of a model before it is opened, made here or not.

Of one from elsewhere by its config.json, a GGUF file's header, or the published pool. Knows no
weights; torch is imported only where a configuration has to be completed by its class.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interlingua.memory.parameters import is_known_family
from interlingua.published.hosts import SINGLE_HOSTS, UNIVERSAL_POOL
from interlingua.published.sizes import stand_in_size
from interlingua.specs.hosts import DTYPES, AtBlock, HostRole, PoolHost
from interlingua.specs.models import HostSource, HubHost
from interlingua.specs.world import WorldHostSpec
from interlingua.store.hosts import is_gguf
from interlingua.store.model_files import CONFIG_NAME

# The dimensions in a configuration, by the names that its family may have for them.
BLOCKS = ("num_hidden_layers", "n_layer", "num_layers")
WIDTH = ("hidden_size", "n_embd")
HEADS = ("num_attention_heads", "n_head", "num_heads")
INTERMEDIATE = ("intermediate_size", "n_inner")
POSITIONS = ("max_position_embeddings", "n_positions", "seq_length")
# Families in the words of llama.cpp, of those whose sizes are known.
OF_GGUF = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma3": "gemma3_text",
    "gpt2": "gpt2",
    "bloom": "bloom",
    "nemotron": "nemotron",
}


def num_blocks_of(host: HubHost) -> int:
    """The number of blocks of a model; of a hub id only its config.json is fetched, if anything."""
    if is_gguf(host.source):
        from interlingua.models.hosts.gguf import read_header

        found = read_header(Path(host.source).expanduser()).number("block_count")
    elif (folder := Path(host.source).expanduser()).is_dir():
        found = blocks_in(folder)
    elif (published := _published(host)) is not None and "num_blocks" not in published.unconfirmed:
        found = published.num_blocks
    else:
        found = blocks_in(_fetched_config(host).parent)
    if found is None:
        raise ValueError(
            f"{host.source} does not say how many blocks it has; set hosts.{host.tag}.source."
            "num_blocks, or name the block with block=at_block and block.index"
        )
    return found


def size_of(host: HostSource) -> PoolHost | None:
    """The dimensions of a model; None where that needs a network, or its family is not known."""
    if isinstance(host, WorldHostSpec):
        return stand_in_size(host)
    # The pool before the cache: it needs no library that takes seconds to import.
    found = _gguf_size(host) if is_gguf(host.source) else _published(host) or _config_size(host)
    return found if found is not None and is_known_family(found.model_type) else None


def _published(host: HubHost) -> PoolHost | None:
    by_id = {one.hub_id: one for one in (*UNIVERSAL_POOL, *SINGLE_HOSTS)}
    published = by_id.get(host.source)
    return None if published is None else replace(published, tag=host.tag)


def _fetched_config(host: HubHost) -> Path:
    from interlingua.models.hosts.hub import HubRepository, fetched_file

    if host.revision is None:
        raise ValueError(f"hosts.{host.tag}.source.revision is none; name the commit")
    repository = HubRepository(name=host.source, revision=host.revision, kind="model")
    return fetched_file(repository, CONFIG_NAME)


def blocks_in(folder: Path) -> int | None:
    """The number of blocks that a config.json states; None where it leaves it to its class."""
    path = folder / CONFIG_NAME
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(
            f"{folder} has no {path.name}; it is not a saved Hugging Face model"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); fetch or save the model again") from None
    text = config.get("text_config", config)  # of the decoder in a multimodal model
    return _first(text, BLOCKS)


def _config_size(host: HubHost) -> PoolHost | None:
    """By the class of its configuration, which has values for what config.json leaves out."""
    from transformers import AutoConfig

    from interlingua.models.hosts.parts import text_config

    source = Path(host.source).expanduser()
    try:
        config = AutoConfig.from_pretrained(
            str(source) if source.is_dir() else host.source,
            revision=host.revision,
            local_files_only=True,
        )
    except (OSError, ValueError):
        return None  # not in the cache, or of no family that transformers knows
    return _size(host, text_config(config).to_dict())


def _gguf_size(host: HubHost) -> PoolHost | None:
    from interlingua.models.hosts.gguf import read_header

    header = read_header(Path(host.source).expanduser())
    rotary = header.number("rope.dimension_count")
    values = {
        "model_type": OF_GGUF.get(header.architecture),
        "hidden_size": header.number("embedding_length"),
        "num_hidden_layers": header.number("block_count"),
        "num_attention_heads": header.number("attention.head_count"),
        "num_key_value_heads": header.number("attention.head_count_kv"),
        "head_dim": header.number("attention.key_length") or rotary,
        "intermediate_size": header.number("feed_forward_length"),
        "max_position_embeddings": header.number("context_length"),
        # Of the tokens the header has the number alone.
        "vocab_size": header.number("vocab_size") or header.metadata.get("tokenizer.ggml.tokens"),
        "tie_word_embeddings": "output.weight" not in header.tensors,
    }
    return _size(host, values)


def _size(host: HubHost, values: Mapping[str, Any]) -> PoolHost | None:
    width, num_heads = _first(values, WIDTH), _first(values, HEADS)
    num_blocks, vocab_size = _first(values, BLOCKS), _first(values, ("vocab_size",))
    if values["model_type"] is None or None in (width, num_heads, num_blocks, vocab_size):
        return None
    assert width and num_heads and num_blocks and vocab_size
    dtype = values.get("dtype")
    return PoolHost(
        tag=host.tag,
        hub_id=host.source,
        model_type=values["model_type"],
        role=HostRole.SINGLE,
        width=width,
        num_blocks=num_blocks,
        num_heads=num_heads,
        num_kv_heads=_first(values, ("num_key_value_heads",)) or num_heads,
        head_dim=_first(values, ("head_dim",)) or width // num_heads,
        intermediate_width=_first(values, INTERMEDIATE) or 4 * width,
        vocab_size=vocab_size,
        # Families without learnt positions may state no limit, and their size has none in it.
        max_positions=_first(values, POSITIONS) or 1,
        tied_embeddings=values["tie_word_embeddings"],
        dtype=dtype if dtype in DTYPES else "float32",
        num_parameters=None,
        block=AtBlock(index=0),
    )


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of several values that is a whole number."""
    found = (values.get(name) for name in names)
    return next((value for value in found if isinstance(value, int)), None)
