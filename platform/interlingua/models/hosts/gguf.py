"""A GGUF file made into an ordinary Hugging Face folder, so that one path opens both.

Knows no host. What the file says and transformers would drop is an error: a model that is nearly
the one in the file would pass for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from transformers.integrations.gguf.reader import read_gguf_metadata

from interlingua.models.hosts.checkpoint import quiet_transformers, without_weights

ELSEWHERE = "name the model's Hugging Face folder or hub id instead"
BYTE_LEVEL = "gpt2"  # of tokenizer.ggml.model: alone it needs to be said how texts are split
# Of tokenizer.ggml.pre: split as GPT-2 does, which is what transformers makes of a name that it
# does not know ...
LIKE_GPT2 = frozenset({"gpt-2", "phi-2", "mpt", "olmo", "jais"})
# ... and so, too, but every digit by itself.
SINGLE_DIGITS = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
END_IDS = ("eos", "eot", "eom")  # of a text, a turn, a message


class NotConvertible(ValueError):
    """A GGUF file that cannot be made into the model that it holds."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says before its weights: its metadata by key, and the names of tensors."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """The family, in the words of llama.cpp."""
        return str(self.metadata["general.architecture"])

    def number(self, key: str) -> int | None:
        """A whole number of the architecture (`block_count`); None where the file has no one."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) else None


def read_header(path: Path) -> GgufHeader:
    """The header of a GGUF file; needs no other package."""
    try:
        return GgufHeader(path, *read_gguf_metadata(str(path)))
    except FileNotFoundError:
        raise NotConvertible(f"{path} is no file; name a GGUF file that is there") from None
    except Exception as error:  # of a reader that trusts every length it meets
        raise _cut_off(path, error) from error


def convert_gguf(path: Path, folder: Path) -> None:
    """Write configuration, weights in fp32 and tokenizer of a GGUF file into a folder."""
    _check_package(path)
    header = read_header(path)
    _check_positions(header)
    sizes = _sizes(path)
    tokenizer = _opened_tokenizer(header)
    with quiet_transformers():
        model = _plain_model(header, sizes)
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            raise NotConvertible(
                f"{path}: the tokenizer has {len(tokenizer)} tokens and the model "
                f"{model.get_input_embeddings().num_embeddings}; {ELSEWHERE}"
            )
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _check_package(path: Path) -> None:
    if find_spec("gguf") is None:
        raise NotConvertible(
            f"{path}: reading it needs the package gguf: pip install 'interlingua[gguf]'"
        )


def _check_positions(header: GgufHeader) -> None:
    """Raise where positions are scaled: transformers reads such a file as if they were not."""
    kind = header.metadata.get(f"{header.architecture}.rope.scaling.type", "none")
    if kind != "none" or any(name.startswith("rope_") for name in header.tensors):
        raise NotConvertible(
            f"{header.path} scales its rotary positions, which a conversion would lose; {ELSEWHERE}"
        )


def _opened_tokenizer(header: GgufHeader) -> PreTrainedTokenizerBase:
    """The tokenizer in the file, its texts split as the file says."""
    kind = header.metadata.get("tokenizer.ggml.model")
    split = header.metadata.get("tokenizer.ggml.pre")
    known = LIKE_GPT2 | SINGLE_DIGITS | GGUF_PRE_TOKENIZER_SPLITS.keys()
    if kind is None:
        raise NotConvertible(f"{header.path} has no tokenizer (tokenizer.ggml.model); {ELSEWHERE}")
    if kind == BYTE_LEVEL and split not in known:
        raise NotConvertible(
            f"{header.path}: tokenizer.ggml.pre is {split!r}, and how that splits texts is not "
            f"known here (known: {', '.join(sorted(known))}); {ELSEWHERE}"
        )
    path = header.path
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path.parent), gguf_file=path.name)
    if kind == BYTE_LEVEL and split in SINGLE_DIGITS:
        # Silent otherwise: texts without numbers come out the same.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    return tokenizer


def _plain_model(header: GgufHeader, sizes: Mapping[str, int]) -> PreTrainedModel:
    """The model in fp32, which holds every quantized value as it is, and free of its origin."""
    path = header.path
    try:
        loaded, info = AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
    except (ValueError, NotImplementedError, KeyError) as error:
        cause = str(error).partition("\n")[0]
        raise NotConvertible(f"{path}: transformers cannot read it ({cause}); {ELSEWHERE}") from (
            error
        )
    _check_whole(path, sizes, loaded, info["missing_keys"])
    config = loaded.config
    for name in ("quantization_config", "_model_name_or_path"):  # of the file, not of the model
        config.__dict__.pop(name, None)
    # A model that came out of a GGUF refuses to be saved, whatever its weights are now.
    plain = without_weights(str(path), config)
    plain.load_state_dict(loaded.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = loaded.generation_config
    plain.generation_config.eos_token_id = _end_ids(header, config.eos_token_id)
    return plain


def _end_ids(header: GgufHeader, configured: int | list[int] | None) -> list[int]:
    """The tokens that end a text: those of the file, and those that transformers knows."""
    ends = [header.metadata.get(f"tokenizer.ggml.{name}_token_id") for name in END_IDS]
    ends += configured if isinstance(configured, list) else [configured]
    return list(dict.fromkeys(one for one in ends if one is not None))


def _check_whole(
    path: Path, sizes: Mapping[str, int], model: PreTrainedModel, missing: set[str]
) -> None:
    """Raise unless all that is in the file is in the model, and the other way round."""
    # Of a tied model the head is the embedding once more.
    again = sizes.get("output.weight", 0) if model.config.tie_word_embeddings else 0
    in_file, in_model = sum(sizes.values()) - again, sum(w.numel() for w in model.parameters())
    # transformers drops a tensor that it has no place for without a word.
    if missing or in_file != in_model:
        raise NotConvertible(
            f"{path} holds {in_file:,} weights and the model made of it {in_model:,}, "
            f"{len(missing)} of its tensors without any; {ELSEWHERE}"
        )


def _sizes(path: Path) -> dict[str, int]:
    """The number of weights of every tensor, all of which are there."""
    from gguf import GGUFReader

    try:
        return {tensor.name: int(tensor.n_elements) for tensor in GGUFReader(path).tensors}
    except Exception as error:  # as above
        raise _cut_off(path, error) from error


def _cut_off(path: Path, error: Exception) -> NotConvertible:
    cause = str(error).partition("\n")[0]
    return NotConvertible(f"{path} is no whole GGUF file ({cause}); fetch it again")
