"""Checkpoints of the published hosts: their family's classes, their depth, narrow, random.

In the files, names and dtypes that their repositories have, as far as these differ from what
`save_pretrained` writes. Knows no hub.
"""

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from safetensors.torch import load_file, save_file
from tests.full.published.tokenizer_files import NUM_TOKENS, save_tokenizer
from transformers import (
    Gemma4AudioConfig,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4VisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from interlingua.specs.hosts import PoolHost, Quirk, tiny_size
from interlingua.world.hosts import SpecialIds, config_for, fresh_model

WIDTHS = {"qwen3": 64, "llama": 40, "gpt2": 48}  # by family: maps between hosts are not square
OTHER_WIDTH, NUM_HEADS = 32, 4
VOCAB_SIZE = 64 * -(-NUM_TOKENS // 64)  # as published: more rows than there are tokens
WEIGHTS = "model.safetensors"
# Saved by the bare model: its names lack what the language model puts before them.
BARE = {"gpt2": "transformer.", "bloom": "transformer."}


def save_checkpoint(host: PoolHost, folder: Path, hub_id: str | None = None) -> Path:
    """Write all files of a host's repository, or of one with its configuration and other weights.

    In a new folder, which is returned.
    """
    hub_id = hub_id or host.hub_id
    folder.mkdir(parents=True)
    model = _model(host, save_tokenizer(hub_id, folder), seed=crc32(hub_id.encode()))
    model.to(getattr(torch, host.dtype))
    if Quirk.PICKLED_WEIGHTS in host.quirks:
        _save_pickled(model, folder)
    else:
        _save_tensors(model, host, folder)
    _name_as_published(folder / "config.json")
    return folder


def _model(host: PoolHost, ids: SpecialIds, seed: int) -> PreTrainedModel:
    """A random model whose norms and biases all matter."""
    config = _config(host, ids)
    if Quirk.MULTIMODAL_WRAPPER in host.quirks:
        model = _wrapped(config, seed)
    else:
        model = fresh_model(config, seed)
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        spread = 0.1 if weight.dim() == 1 else 0.05
        weight.data += spread * torch.randn(weight.shape, generator=generator)
    return model


def _config(host: PoolHost, ids: SpecialIds) -> PreTrainedConfig:
    size = tiny_size(
        host,
        width=WIDTHS.get(host.model_type, OTHER_WIDTH),
        num_blocks=host.num_blocks,
        num_heads=NUM_HEADS,
        vocab_size=VOCAB_SIZE,
        max_positions=host.max_positions,
    )
    own = {name: list(v) if isinstance(v, tuple) else v for name, v in host.family_fields}
    if host.model_type == "gemma4_text":
        own |= {
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": VOCAB_SIZE,
            "global_head_dim": 2 * size.head_dim,
        }
    special = {"bos_token_id": ids.bos, "eos_token_id": ids.eos, "pad_token_id": ids.pad}
    return config_for(host.model_type, size, own | special)


def _wrapped(text: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """The text model with towers for pictures and sounds, as Gemma-4 is saved."""
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = Gemma4VisionConfig(
        **sizes,
        intermediate_size=32,
        num_key_value_heads=2,
        head_dim=16,
        position_embedding_size=16,
    )
    audio = Gemma4AudioConfig(**sizes, subsampling_conv_channels=[8, 4], output_proj_dims=32)
    # The last rows of the vocabulary, which no text has: where they stand a tower's rows go.
    places = ("image", "video", "audio", "boi", "eoi", "boa")
    ids = {f"{place}_token_id": VOCAB_SIZE - 1 - back for back, place in enumerate(places)}
    config = Gemma4Config(
        text_config=text,
        vision_config=vision,
        audio_config=audio,
        eoa_token_index=VOCAB_SIZE - 1 - len(places),
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Gemma4ForConditionalGeneration(config)


def _save_tensors(model: PreTrainedModel, host: PoolHost, folder: Path) -> None:
    # The largest are saved in several files with an index.
    is_large = host.width * host.num_blocks > 70_000
    model.save_pretrained(folder, max_shard_size="2MB" if is_large else "1GB")
    if (prefix := BARE.get(host.model_type)) is not None:
        tensors = load_file(folder / WEIGHTS)
        bare = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        save_file(bare, folder / WEIGHTS, metadata={"format": "pt"})


def _save_pickled(model: PreTrainedModel, folder: Path) -> None:
    """Weights in two pickled files and an index, and none in safetensors."""
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    tensors, files = model.state_dict(), {}
    names = sorted(tensors)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save({name: tensors[name].clone() for name in part}, folder / file)
        files |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def _name_as_published(path: Path) -> None:
    """Give the configuration the names that it had when these repositories were made."""
    config = json.loads(path.read_text())
    for part in (config, config.get("text_config", {})):
        if "dtype" in part:
            part["torch_dtype"] = part.pop("dtype")
        rope = part.get("rope_parameters") or {}
        if rope.get("rope_type") == "default":
            part |= {"rope_theta": rope["rope_theta"], "rope_scaling": None}
            if "partial_rotary_factor" in rope:
                part["partial_rotary_factor"] = rope["partial_rotary_factor"]
            del part["rope_parameters"]
    config.pop("transformers_version", None)
    path.write_text(json.dumps(config, indent=2))
