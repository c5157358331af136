"""One rank: trains an AR whose value head ZeRO 3 shares out, and looks at `dev`.

The head is of a width at which it is shared out by default; here every weight is, however small.
"""

import numpy as np
import pytest
import torch

from interlingua.cluster import zero
from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.published.hosts import pool_host
from interlingua.specs.injection import Readout
from interlingua.specs.training import OptimSpec, RateDecay, WatchSpec
from interlingua.stages.sft.ar import ArBatch, ArLearner, ArProgram, DevBatch
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import train
from interlingua.world.hosts import SpecialIds, fresh_model, tiny_config

WIDTH, NUM_ROWS, NUM_TOKENS, HOST = 512, 4, 6, "host"


class WideAr(ArProgram):
    """Learns the same few random vectors of random texts again and again."""

    def __init__(self):
        self.num_steps, self.batch_rows = 6, NUM_ROWS
        self.optim = OptimSpec(
            learning_rate=1e-3,
            warmup_steps=0,
            decay=RateDecay.CONSTANT,
            betas=(0.9, 0.95),
            weight_decay=0.0,
            clip_norm=1.0,
            dtype="float32",
        )
        self.watch = WatchSpec(
            seed=0, validate_every=3, checkpoint_every=3, dev_rows=NUM_ROWS, min_delta=0.0
        )
        self.seed, self._tags = 0, (HOST,)
        self.module = ArLearner(reconstructor())
        generator = torch.Generator().manual_seed(0)
        self._ids_BT = torch.randint(3, 100, (NUM_ROWS, NUM_TOKENS), generator=generator)
        v_BE = torch.randn(NUM_ROWS, WIDTH, generator=generator)
        self._u_BE = v_BE / v_BE.norm(dim=1, keepdim=True)
        target = {HOST: self._u_BE.double().numpy()}
        places, variance = tuple(range(NUM_ROWS)), {HOST: np.ones(NUM_ROWS)}
        self._dev = [DevBatch(places, self._batch(slice(None), 1.0), target, variance)]

    def micro_batches(self, step, share):
        """Row by row, each rank its own."""
        mine = range(share.rank, NUM_ROWS, share.world_size)
        return [self._batch(slice(row, row + 1), share.world_size / NUM_ROWS) for row in mine]

    def counts(self):
        """Nothing is counted."""
        return {}

    def _batch(self, rows, weight):
        ids_BT = self._ids_BT[rows]
        keys = tuple((str(row), -1) for row in range(NUM_ROWS))[rows]
        return ArBatch(keys, ids_BT, torch.ones_like(ids_BT), self._u_BE[rows], 1.0, weight)


def reconstructor():
    """Of one block."""
    config = tiny_config(
        pool_host("qwen3-1p7b"),
        width=WIDTH,
        num_blocks=1,
        num_heads=8,
        vocab_size=100,
        max_positions=16,
        special_ids=SpecialIds(bos=1, eos=2, pad=0),
    )
    model = fresh_model(config, seed=0)
    return Reconstructor(model, find_parts(model), block_index=0, readout=Readout.NORMALIZED)


def main(out):
    """Train to the end; in a folder of the run's own."""
    out.mkdir(exist_ok=True)
    program = WideAr()
    config_of = zero._config

    def sharing_everything(*arguments):
        config = config_of(*arguments)
        config["zero_optimization"]["stage3_param_persistence_threshold"] = 0
        return config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zero, "_config", sharing_everything)
        engine = zero.ZeroEngine(
            program.module,
            program.groups(),
            program.optim,
            device="cpu",
            zero_stage=3,
            batch_rows=NUM_ROWS,
            micro_batch_rows=1,
        )
    assert program.module.reconstructor.value_head.weight.numel() == 0  # it is shared out
    job = TrainingJob(spec=None, inputs={}, out=out, micro_batch_rows=1, threads=1, device="cpu")
    train(program, engine, job)
