"""One rank: sums a large gradient and many small ones in bf16, under every ZeRO stage.

Added to the large one by one in bf16 the small ones are lost.
"""

import json

import torch
from torch import nn

from interlingua.cluster.zero import ZeroEngine
from interlingua.specs.placement import ZERO_STAGES
from interlingua.specs.training import OptimSpec, RateDecay
from interlingua.stages.sft.engine import ParamGroup

NUM_STEPS, NUM_ROWS, WIDTH = 2, 66, 8
SMALL = 2.0**-9  # half of what bf16 tells from 1
OPTIM = OptimSpec(
    learning_rate=1e-2,
    warmup_steps=0,
    decay=RateDecay.CONSTANT,
    betas=(0.9, 0.95),
    weight_decay=0.0,
    clip_norm=1e3,
    dtype="bfloat16",
)


class Weighed(nn.Module):
    """Its gradient is the batch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, batch):
        """The sum of the batch, as it is weighed."""
        return (self.weight * batch).float().sum()


def gradients(step):
    """[N, D] in the first step a large one and small ones, in the second the large one alone."""
    small = SMALL if step == 0 else 0.0
    return torch.cat([torch.ones(2, WIDTH), torch.full((NUM_ROWS - 2, WIDTH), small)])


def stepped(zero_stage):
    """The norms of the steps' gradients, and the weights behind them."""
    module = Weighed()
    engine = ZeroEngine(
        module,
        [ParamGroup(list(module.parameters()), OPTIM.learning_rate)],
        OPTIM,
        device="cpu",
        zero_stage=zero_stage,
        batch_rows=NUM_ROWS,
        micro_batch_rows=1,
    )
    norms = []
    for step in range(NUM_STEPS):
        mine = gradients(step)[engine.rank :: engine.world_size].bfloat16()
        norms.append(engine.step([row_D * engine.world_size for row_D in mine], 1.0).grad_norm)
    return {"norms": norms, "weights": engine.trained_weights()["weight"].tolist()}


def plain():
    """The same by torch, in fp32."""
    weight = nn.Parameter(torch.ones(WIDTH))
    optimizer = torch.optim.AdamW(
        [weight], lr=OPTIM.learning_rate, betas=OPTIM.betas, weight_decay=0.0
    )
    norms = []
    for step in range(NUM_STEPS):
        weight.grad = gradients(step).sum(0)
        norms.append(weight.grad.norm().item())
        optimizer.step()
    return {"norms": norms, "weights": weight.tolist()}


def main(out):
    """Write what every stage makes of them, and torch."""
    found = {f"zero_{stage}": stepped(stage) for stage in ZERO_STAGES}
    out.write_text(json.dumps({**found, "plain": plain()}))
