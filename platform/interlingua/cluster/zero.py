"""ZeroEngine: weights stepped by DeepSpeed, shared out among ranks as ZeRO has it.

Knows no program and no Ray: a process group must be there, or rank 0 of one is made.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from interlingua.specs.training import OptimSpec
from interlingua.stages.sft.engine import ParamGroup, Stepped, adamw, require_dtype, set_rates
from interlingua.store.atomic import write_atomically

TAG, RANKS_NAME = "state", "ranks.json"
SHM_OP = "deepspeed_shm_comm"


def deepspeed_module(device: str) -> Any:
    """The `deepspeed` module, ready for this device; the one place that prepares it."""
    if device == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    if device == "cpu":
        # Otherwise every start compiles this op, for minutes, and a killed compile leaves a lock
        # on which the next start waits for ever. The table is private: it must hold the op.
        table = deepspeed.ops.__compatible_ops__
        if SHM_OP not in table:
            raise RuntimeError(
                f"deepspeed {deepspeed.__version__} has no op {SHM_OP}; "
                "see how this version is kept from compiling on a CPU"
            )
        table[SHM_OP] = False
    deepspeed.utils.logger.setLevel("ERROR")
    return deepspeed


class ZeroEngine:
    """A DeepSpeed engine; every method is called by all ranks alike."""

    def __init__(
        self,
        module: nn.Module,
        groups: Sequence[ParamGroup],
        spec: OptimSpec,
        *,
        device: str,
        zero_stage: int,
        batch_rows: int,
        micro_batch_rows: int,
    ) -> None:
        require_dtype(spec, device)
        deepspeed = deepspeed_module(device)
        _join_group(deepspeed, device)
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()
        if batch_rows % self.world_size:
            raise ValueError(
                f"batch_rows is {batch_rows}; "
                f"it must be a multiple of the number of workers, {self.world_size}"
            )
        rows = batch_rows // self.world_size
        if spec.dtype != "float32":  # stage 0 sums in half precision alone
            zero_stage = max(zero_stage, 1)
        optimizer = adamw(groups, spec, torch.optim.AdamW if zero_stage else _FiniteAdamW)
        self._num_micro = -(-rows // micro_batch_rows)
        self._peaks = [group.learning_rate for group in groups]
        self._zero_stage = zero_stage
        config = _config(spec, zero_stage, min(micro_batch_rows, rows), self._num_micro)
        with redirect_stdout(StringIO()):  # in bf16 stage 1 prints what memory there is
            self._engine, *_ = deepspeed.initialize(
                model=module, optimizer=optimizer, config=config
            )
        self.module = self._engine.module

    def step(self, micro_batches: Sequence[Any], factor: float) -> Stepped:
        """Sum the gradients of micro-batches and ranks, clip, step at `factor` x the peak rate."""
        assert len(micro_batches) == self._num_micro, f"{len(micro_batches)} != {self._num_micro}"
        set_rates(self._engine.optimizer, self._peaks, factor)
        self._engine.train()
        total = torch.zeros((), device=self._engine.device)
        for batch in micro_batches:
            loss = self._engine(batch)
            # DeepSpeed takes the mean over micro-batches; ours are parts of a sum.
            self._engine.backward(loss * self._num_micro)
            # Called every time: DeepSpeed steps the weights at the last micro-batch alone.
            self._engine.step()
            total += loss.detach().float()
        # A rank's losses are its parts times world_size: DeepSpeed's mean over ranks is their sum.
        distributed.all_reduce(total)
        norm = self._engine.get_global_grad_norm()
        return Stepped(
            float(total) / self.world_size,
            float("nan") if norm is None else float(norm),
            is_skipped=not self._engine.was_step_applied() or self._was_not_finite(),
        )

    @contextmanager
    def forwarding(self) -> Iterator[None]:
        """A context for forwards without gradients and without dropout."""
        self._engine.eval()
        with torch.no_grad():
            yield

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in order; waits for all of them."""
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values

    def trained_weights(self) -> dict[str, Tensor]:
        """The fp32 masters of what is trained, whole, on the CPU; in every rank."""
        masters = self._masters()
        return {
            name: masters(weight).detach().float().cpu().clone()
            for name, weight in self.module.named_parameters()
            if weight.requires_grad
        }

    def save(self, folder: Path) -> None:
        """Write DeepSpeed's own checkpoint of what is trained, and the number of its ranks."""
        self._engine.save_checkpoint(
            str(folder), tag=TAG, exclude_frozen_parameters=True, save_latest=False
        )
        if self.rank == 0:
            with write_atomically(folder / RANKS_NAME) as file:
                file.write(json.dumps(self._ranks()).encode())

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint of as many ranks."""
        stored = json.loads((folder / RANKS_NAME).read_bytes())
        if stored != self._ranks():
            raise ValueError(
                f"{folder} was written with {stored}, this run has {self._ranks()}: go on with "
                "the same placement.training, or delete the folder to begin again"
            )
        # Not strict: frozen weights are not in the checkpoint.
        with redirect_stdout(StringIO()):
            path, _ = self._engine.load_checkpoint(str(folder), tag=TAG, load_module_strict=False)
        if path is None:
            raise RuntimeError(f"{folder} is no whole checkpoint; delete it and run again")

    def close(self) -> None:
        """Free weights and optimizer, which DeepSpeed's cycles and hooks would keep alive."""
        self._engine.destroy()
        for weight in self.module.parameters():  # methods of it that were hung on itself
            vars(weight).clear()
        if self._engine.device.type == "cuda":
            torch.cuda.empty_cache()

    def _was_not_finite(self) -> bool:
        optimizer = self._engine.optimizer
        return isinstance(optimizer, _FiniteAdamW) and optimizer.is_skipped

    def _ranks(self) -> Mapping[str, int]:
        return {"workers": self.world_size, "zero_stage": self._zero_stage}

    def _masters(self) -> Any:
        """A function of a weight that returns its whole fp32 master."""
        from deepspeed.utils import safe_get_full_fp32_param

        # A collective: all ranks must ask for the weights in the same order. Stage 0 is fp32: its
        # weights are the masters.
        return safe_get_full_fp32_param if self._zero_stage else lambda weight: weight


class _FiniteAdamW(torch.optim.AdamW):
    """Skips a step whose gradient is not finite: in fp32 without ZeRO DeepSpeed does not."""

    is_skipped = False

    def step(self, closure: Any = None) -> Any:
        """Step, or leave everything as it is; all ranks have the same gradient here."""
        weights = [weight for group in self.param_groups for weight in group["params"]]
        grads = [weight.grad for weight in weights if weight.grad is not None]
        self.is_skipped = not all(bool(grad.isfinite().all()) for grad in grads)
        return None if self.is_skipped else super().step(closure)


def _join_group(deepspeed: Any, device: str) -> None:
    backend = "gloo" if device == "cpu" else "nccl"
    deepspeed.init_distributed(backend, auto_mpi_discovery=False, verbose=False)


def _config(
    spec: OptimSpec, zero_stage: int, micro_batch_rows: int, num_micro: int
) -> dict[str, Any]:
    return {
        "train_micro_batch_size_per_gpu": micro_batch_rows,
        "gradient_accumulation_steps": num_micro,
        "gradient_clipping": spec.clip_norm,
        "zero_optimization": {"stage": zero_stage},
        # In bf16 what is small beside the sum so far would be lost, within a rank and between them.
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        # torch's AdamW: DeepSpeed's own would be compiled at the start.
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": spec.dtype == "bfloat16"},
        "fp16": {"enabled": spec.dtype == "float16"},
        "steps_per_print": 10**9,
    }
