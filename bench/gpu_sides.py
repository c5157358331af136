"""A small AV, AR and host on any device in any dtype, and how far results on two sides are apart.

All sides open the same folder of random weights by the product's own ways.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from bench.gpu_sizes import REFERENCE, Side, small_qwen3
from bench.lines import Number
from bench.rl_roles import ADAPTERS
from bench.synthetic import save_host
from interlingua.models.pair.fresh import fresh_reconstructor, fresh_verbalizer
from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.recipes.universal_parts import AR, AV
from interlingua.specs.injection import InjectionRule, Replace
from interlingua.specs.training import OptimSpec
from interlingua.stages.rl.local_roles import groups_of
from interlingua.stages.sft.engine import STATE_NAME, TorchEngine

BLOCK_INDEX = 2
NUM_PROMPT, MARKER_AT, NUM_ROWS, NUM_NEW = 24, 12, 8, 16
REPLACE = Replace()


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a difference may be: of another device in fp32, and of bf16 on any."""

    float32: float
    bfloat16: float

    def of(self, side: Side) -> float:
        """The bound of a side."""
        bound: float = getattr(self, side.dtype)
        return bound


def number(name: str, side: Side, error: float, bound: Bound) -> Number:
    """One comparison with the reference."""
    title = f"{name}, {REFERENCE} against {side}"
    return Number(name=title, unit="", rounds=(error,), at_most=bound.of(side))


@contextmanager
def random_host() -> Iterator[Path]:
    """A folder with small random weights, which every side opens as a host."""
    with TemporaryDirectory() as name:
        yield save_host(Path(name), small_qwen3())


def verbalizer_on(folder: Path, side: Side, rule: InjectionRule = REPLACE) -> Verbalizer:
    """The AV of the folder, with adapters that change something."""
    spec = replace(
        AV, lora=ADAPTERS, optim=optim_of(side), injection=replace(AV.injection, rule=rule)
    )
    verbalizer = fresh_verbalizer(str(folder), spec, device=side.device)
    verbalizer.trunk.model.generation_config.eos_token_id = None
    return with_adapters(verbalizer)


def reconstructor_on(folder: Path, side: Side) -> Reconstructor:
    """The AR of the folder, with adapters that change something."""
    spec = replace(AR, block_index=BLOCK_INDEX, lora=ADAPTERS, optim=optim_of(side))
    return with_adapters(fresh_reconstructor(str(folder), spec, device=side.device))


def with_adapters(module: Any) -> Any:
    """The module with random adapters: fresh ones add nothing, and half of their gradient is 0."""
    generator = torch.Generator().manual_seed(2)
    for name, weight in module.named_parameters():
        if "lora_B" in name:
            drawn = 0.01 * torch.randn(weight.shape, generator=generator)
            weight.data = drawn.to(weight.device)
    return module


def optim_of(side: Side) -> OptimSpec:
    """The published optimizer, in the side's dtype."""
    return replace(AV.optim, dtype=side.dtype)


def prompt_on(side: Side) -> AvPrompt:
    """A prompt of random tokens with one marker."""
    ids_T = drawn_ids((NUM_PROMPT,), seed=3)
    return AvPrompt(ids_T, torch.tensor([MARKER_AT])).to(side.device)


def vectors() -> Tensor:
    """[N, D]: what is injected, the same on every side."""
    return torch.randn(
        NUM_ROWS, small_qwen3().hidden_size, generator=torch.Generator().manual_seed(4)
    )


def gradient_of(engine: TorchEngine) -> Tensor:
    """What the first step of AdamW was given: its first moment is a share of it, and is saved."""
    with TemporaryDirectory() as name:
        engine.save(Path(name))
        state = torch.load(Path(name) / STATE_NAME, map_location="cpu", weights_only=True)
    moments = state["optimizer"]["state"]
    return torch.cat([moments[place]["exp_avg"].flatten() for place in sorted(moments)])


def engine_on(module: nn.Module, side: Side) -> TorchEngine:
    """Plain torch over all that is trained."""
    optim = optim_of(side)
    return TorchEngine(module, groups_of(module, optim.learning_rate), optim, side.device)


def l2(x: Tensor) -> float:
    """The norm of all of it."""
    return float(x.double().norm())


def drawn_ids(shape: tuple[int, ...], *, seed: int) -> Tensor:
    """Random tokens, the same on every side."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(small_qwen3().vocab_size, shape, generator=generator)
