"""Engines that step the weights of a program: plain torch here, DeepSpeed in `cluster/zero.py`.

Knows no program, no row and no schedule. Every method is called by all ranks alike.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from interlingua.models.pair.trained import put_weights
from interlingua.specs.training import OptimSpec
from interlingua.store.atomic import write_atomically
from interlingua.store.reading import naming

STATE_NAME = "state.pt"


@dataclass(frozen=True, slots=True)
class ParamGroup:
    """Weights that share a peak learning rate."""

    weights: Sequence[nn.Parameter]
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Stepped:
    """One optimizer step: the loss over the global batch, and the norm of its gradient.

    A step whose gradient was not finite is skipped: it changes nothing.
    """

    loss: float
    grad_norm: float  # NaN where an engine does not say
    is_skipped: bool = False


class Engine(Protocol):
    """A module with its optimizer, over one or more ranks."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def module(self) -> nn.Module: ...

    def step(self, micro_batches: Sequence[Any], factor: float) -> Stepped:
        """One step on this rank's share: `module(batch)` is its part of the global loss."""

    def forwarding(self) -> Any:
        """A context for forwards without gradients, in the dtype that steps run in."""

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in order."""

    def trained_weights(self) -> dict[str, Tensor]:
        """The trained weights by name, whole, in fp32 on the CPU."""

    def save(self, folder: Path) -> None:
        """Write all that a resume needs into an existing folder."""

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""

    def close(self) -> None:
        """Free all that the engine holds beside its module; it is not used again."""


class TorchEngine:
    """One process, torch.optim.AdamW."""

    rank, world_size = 0, 1

    def __init__(
        self, module: nn.Module, groups: Sequence[ParamGroup], spec: OptimSpec, device: str
    ) -> None:
        require_dtype(spec, device)
        if spec.dtype == "float16":
            raise ValueError("OptimSpec.dtype is float16; only DeepSpeed scales its loss here")
        self.module = module.to(device)
        self._device, self._dtype, self._clip_norm = device, spec.dtype, spec.clip_norm
        self._optimizer = adamw(groups, spec)
        self._peaks = [group.learning_rate for group in groups]

    def step(self, micro_batches: Sequence[Any], factor: float) -> Stepped:
        """Sum the gradients of the micro-batches, clip, step."""
        # Set anew every step: the rates in a loaded optimizer state are those of an older step.
        set_rates(self._optimizer, self._peaks, factor)
        self.module.train()
        total = 0.0
        for batch in micro_batches:
            with self._autocast():
                loss = self.module(batch)
            # Outside of autocast, where backward takes the dtypes of the forward. Losses are parts
            # of a sum, so that gradients add up to that of the whole batch without a division.
            loss.backward()
            total += loss.item()
        weights = [weight for group in self._optimizer.param_groups for weight in group["params"]]
        # One norm over all groups: clipping each alone would change the direction of the step.
        norm = torch.nn.utils.clip_grad_norm_(weights, self._clip_norm)
        is_skipped = not bool(norm.isfinite())
        # A single NaN gradient would stay in AdamW's moments for ever, and in the weights.
        if not is_skipped:
            self._optimizer.step()
        self._optimizer.zero_grad()
        return Stepped(total, float(norm), is_skipped)

    @contextmanager
    def forwarding(self) -> Iterator[None]:
        """No gradients, no dropout."""
        self.module.eval()
        with torch.no_grad(), self._autocast():
            yield

    def gathered(self, value: Any) -> list[Any]:
        """The one value."""
        return [value]

    def trained_weights(self) -> dict[str, Tensor]:
        """The weights themselves: they are fp32 also under a bf16 forward."""
        return {
            # Copies: the next step changes the weights in place.
            name: weight.detach().float().cpu().clone()
            for name, weight in self.module.named_parameters()
            if weight.requires_grad
        }

    def save(self, folder: Path) -> None:
        """Weights and optimizer in one file."""
        state = {"weights": self.trained_weights(), "optimizer": self._optimizer.state_dict()}
        # By way of memory: torch.save hides a full disk behind an error of its own.
        content = BytesIO()
        torch.save(state, content)
        with write_atomically(folder / STATE_NAME) as file:
            file.write(content.getbuffer())

    def load(self, folder: Path) -> None:
        """Weights and optimizer as they were."""
        with naming(folder / STATE_NAME):
            state = torch.load(folder / STATE_NAME, weights_only=True)
        put_weights(self.module, state["weights"], "checkpoint")
        self._optimizer.load_state_dict(state["optimizer"])

    def close(self) -> None:
        """Free nothing: all of it goes with the last reference to the engine."""

    def _autocast(self) -> Any:
        # Autocast, not a cast of the module: weights and gradients stay fp32, and a small update
        # is not rounded away.
        if self._dtype == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self._device).type, getattr(torch, self._dtype))


def require_dtype(spec: OptimSpec, device: str) -> None:
    """Raise where a device cannot train in the asked dtype."""
    if spec.dtype == "float16" and device == "cpu":
        raise ValueError("OptimSpec.dtype is float16; a CPU has no fp16 training: use bfloat16")


def adamw(
    groups: Sequence[ParamGroup],
    spec: OptimSpec,
    kind: type[torch.optim.AdamW] = torch.optim.AdamW,
) -> torch.optim.AdamW:
    """The AdamW of every engine; biases and weights of norms decay like all others."""
    return kind(
        [{"params": list(group.weights), "lr": group.learning_rate} for group in groups],
        betas=spec.betas,
        weight_decay=spec.weight_decay,
    )


def set_rates(optimizer: Any, peaks: Sequence[float], factor: float) -> None:
    """Set every group to this share of its peak rate."""
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor
