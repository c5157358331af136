"""What `bench.gpu` measures and where: at full size on one card, or small on a CPU."""

from dataclasses import dataclass

from transformers import PreTrainedConfig

from bench.synthetic import qwen3_8b, qwen3_1700m, qwen3_config


@dataclass(frozen=True, slots=True)
class Side:
    """Where a result of parity is computed, and in which dtype."""

    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.device} {self.dtype}"


REFERENCE = Side("cpu", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`sides` are compared with REFERENCE; `host` is read, `trunk` trained and decoded."""

    device: str
    sides: tuple[Side, ...]
    host: PreTrainedConfig
    block_index: int
    num_passages: int
    batch_tokens: int
    trunk: PreTrainedConfig
    sft_rows: int
    sft_steps: int
    rollout_rows: tuple[int, ...]
    num_new: int
    num_rounds: int


def small_qwen3() -> PreTrainedConfig:
    """Four blocks of 256 and 2000 tokens: what a CPU computes in no time."""
    config = qwen3_config(256, 4, 8, 512)
    config.vocab_size = 2000
    return config


def full() -> Sizes:
    """One H200."""
    return Sizes(
        device="cuda",
        sides=(Side("cuda", "float32"), Side("cuda", "bfloat16")),
        host=qwen3_8b(),
        block_index=24,
        num_passages=2048,
        batch_tokens=32768,
        trunk=qwen3_1700m(),
        sft_rows=32,
        sft_steps=10,
        rollout_rows=(16, 64, 256),
        num_new=100,
        num_rounds=3,
    )


def rehearsal() -> Sizes:
    """Every line on a CPU, whose numbers mean nothing."""
    return Sizes(
        device="cpu",
        sides=(Side("cpu", "float32"), Side("cpu", "bfloat16")),
        host=small_qwen3(),
        block_index=2,
        num_passages=32,
        batch_tokens=512,
        trunk=_of_two_blocks(),
        sft_rows=4,
        sft_steps=2,
        rollout_rows=(16, 64, 256),
        num_new=4,
        num_rounds=2,
    )


def _of_two_blocks() -> PreTrainedConfig:
    """Half as deep and as wide: 256 rows are decoded on a CPU, too."""
    config = qwen3_config(128, 2, 8, 256)
    config.vocab_size = 2000
    return config
