"""Hosts of published shapes with random weights, and passages of random tokens. No download.

Speed does not depend on what the weights say. A passage is text whose words are token ids, and the
saved tokenizer reads "17 4 9" as [17, 4, 9]: the product's own path from texts runs as it is.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.parts import find_parts
from interlingua.specs.extraction import ExtractSpec, Pooled
from interlingua.specs.splits import Split

MIN_TOKENS, MAX_TOKENS = 32, 256
READ_TOKENS = 1024  # longer passages would be cut; GPT-2 reads no more
# Of the logarithm of a length: half of the passages are shorter than 80 tokens.
LENGTH_MEDIAN, LENGTH_SIGMA = 80, 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """The same passages as token ids, for peers, and as keyed texts, for ours."""

    ids: list[list[int]]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Passage ids and texts whose words are the token ids."""
        return [(f"{n:016x}", " ".join(map(str, tokens))) for n, tokens in enumerate(self.ids)]

    @property
    def num_tokens(self) -> int:
        """Useful tokens, no padding."""
        return sum(map(len, self.ids))


def gpt2_small() -> PreTrainedConfig:
    """124M parameters: 12 blocks of 768, 50257 tokens; GPT2Config's own values."""
    return GPT2Config()


def qwen3_config(
    width: int, num_blocks: int, num_heads: int, ffn_width: int, *, tied: bool = True
) -> PreTrainedConfig:
    """A Qwen3: 8 key-value heads, heads of 128, 151936 tokens."""
    return Qwen3Config(
        hidden_size=width,
        num_hidden_layers=num_blocks,
        num_attention_heads=num_heads,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=ffn_width,
        vocab_size=151936,
        tie_word_embeddings=tied,
    )


def qwen3_600m() -> PreTrainedConfig:
    """Qwen3-0.6B: 28 blocks of 1024."""
    return qwen3_config(1024, 28, 16, 3072)


def qwen3_1700m() -> PreTrainedConfig:
    """Qwen3-1.7B: 28 blocks of 2048."""
    return qwen3_config(2048, 28, 16, 6144)


def qwen3_8b() -> PreTrainedConfig:
    """Qwen3-8B: 36 blocks of 4096."""
    return qwen3_config(4096, 36, 32, 12288, tied=False)


def qwen3_1700m_of_two_blocks() -> PreTrainedConfig:
    """Two blocks at the width of Qwen3-1.7B, 2048."""
    return qwen3_config(2048, 2, 16, 6144)


def llama_7b_of_two_blocks() -> PreTrainedConfig:
    """Two blocks at the width of a 7B Llama, 4096."""
    return LlamaConfig(num_hidden_layers=2)


def save_host(folder: Path, config: PreTrainedConfig, *, device: str = "cpu") -> Path:
    """A folder with a random bf16 host and a tokenizer whose words are its ids."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    vocabulary = {str(token): token for token in range(config.vocab_size)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def draw_passages(num_passages: int, vocab_size: int, *, max_tokens: int = MAX_TOKENS) -> Passages:
    """Passages of log-normal lengths, each keyed by its number."""
    return Passages(ids=[_tokens(n, vocab_size, max_tokens) for n in range(num_passages)])


def open_reader(
    folder: Path, block_index: int, *, dtype: str, batch_tokens: int, device: str = "cpu"
) -> Reader:
    """The product's reader of pooled rows of one block."""
    spec = ExtractSpec(
        host_tag="bench",
        block_indices=(block_index,),
        read=Pooled(include_first=False),
        max_tokens=READ_TOKENS,
        dtype=dtype,
        splits=(Split.FIT,),
    )
    return Reader(str(folder), spec, revision=None, device=device, batch_tokens=batch_tokens)


def block_parameters(config: PreTrainedConfig) -> int:
    """How many weights of one block are multiplied with every token."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    block = find_parts(model, check=False).blocks[0]
    return sum(parameter.numel() for parameter in block.parameters() if parameter.ndim == 2)


def _tokens(number: int, vocab_size: int, max_tokens: int) -> list[int]:
    random = Random(f"passage {number}")
    length = round(LENGTH_MEDIAN * random.lognormvariate(0, LENGTH_SIGMA))
    length = min(max(length, MIN_TOKENS), max_tokens)
    return [random.randrange(vocab_size) for _ in range(length)]
