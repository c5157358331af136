"""What DeepSpeed does with a gradient that is no number, and whether it lets go."""

import gc
import json
import weakref

import torch
from torch import nn

from interlingua.cluster.zero import ZeroEngine
from interlingua.specs.training import OptimSpec, RateDecay
from interlingua.stages.sft.engine import ParamGroup


class Toy(nn.Module):
    """The mean of what a layer makes of a batch."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.learned = nn.Linear(8, 8)

    def forward(self, batch):
        """NaN for a batch that holds one."""
        dtype = self.learned.weight.dtype
        return self.learned(self.frozen(batch.to(dtype))).square().mean()


def engine_of(zero_stage, dtype):
    """An engine over two micro-batches."""
    module = Toy()
    optim = OptimSpec(
        learning_rate=1e-2,
        warmup_steps=0,
        decay=RateDecay.CONSTANT,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        clip_norm=1.0,
        dtype=dtype,
    )
    groups = [ParamGroup(list(module.learned.parameters()), 1e-2)]
    return ZeroEngine(
        module,
        groups,
        optim,
        device="cpu",
        zero_stage=zero_stage,
        batch_rows=4,
        micro_batch_rows=2,
    )


def looked_at(zero_stage, dtype):
    """A good step, a spoiled one and a good one; then what is left of a closed engine."""
    engine = engine_of(zero_stage, dtype)
    good = torch.ones(2, 8)
    spoiled = good * float("nan")
    weights, skipped = [], []
    for batches in ([good, good], [good, spoiled], [good, good]):
        skipped.append(engine.step(batches, 1.0).is_skipped)
        weights.append(engine.trained_weights()["learned.weight"])
    left = [weakref.ref(engine.module.frozen.weight), weakref.ref(engine.module.learned.weight)]
    engine.close()
    del engine
    gc.collect()
    return {
        "skipped": skipped,
        "moved": [not torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False)],
        "is_finite": bool(weights[-1].isfinite().all()),
        "num_left": sum(one() is not None for one in left),
    }


def main(out):
    """Write what was seen of every stage and number format."""
    kinds = [(stage, dtype) for stage in (0, 1, 2) for dtype in ("float32", "bfloat16")]
    out.write_text(
        json.dumps({f"{stage} {dtype}": looked_at(stage, dtype) for stage, dtype in kinds})
    )
