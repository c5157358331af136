"""The AR under reinforcement learning, over any engine: it reads samples, and learns from them.

Knows neither the loop nor what a reward is; it is given ids, and needs no tokenizer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.injection import scaled
from interlingua.core.keyed import seed_of
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.stages.rl.batches import shares
from interlingua.stages.rl.roles import NO_TOKEN, Rollouts
from interlingua.stages.sft.engine import Engine, Stepped


@dataclass(frozen=True, slots=True, eq=False)
class ArPrompts:
    """Prompts of the AR with the vectors they are to give; a failed sample has the weight 0."""

    ids_NT: Tensor
    mask_NT: Tensor
    v_NE: Tensor
    weights_N: Tensor


class SupervisedReconstructor(nn.Module):
    """The reconstructor under its supervised loss."""

    def __init__(self, reconstructor: Reconstructor) -> None:
        super().__init__()
        self.reconstructor = reconstructor

    def forward(self, batch: ArPrompts) -> Tensor:
        """The batch's part of the weighted mean of NMSE."""
        a_NE = self.reconstructor(batch.ids_NT, batch.mask_NT)
        cos_N = (scaled(a_NE, 1.0) * scaled(batch.v_NE, 1.0)).sum(-1)
        return (2 * (1 - cos_N) * batch.weights_N).sum()


class EngineReconstructor:
    """The AR: rebuilds vectors from samples, and learns from the samples afterwards."""

    def __init__(
        self, engine: Engine, *, width: int, micro_batch_rows: int, batch_rows: int, device: str
    ) -> None:
        self._engine, self._width, self._device = engine, width, device
        self._micro_batch_rows, self._batch_rows = micro_batch_rows, batch_rows
        self.weights, self.save, self.load = engine.trained_weights, engine.save, engine.load
        self.close = engine.close

    def reconstruct(self, ar_prompts_NT: np.ndarray) -> np.ndarray:
        """[N, E]: the vector of every prompt; NaN where there is none."""
        a_NE = np.full((len(ar_prompts_NT), self._width), np.nan, np.float32)
        lengths_N = (ar_prompts_NT != NO_TOKEN).sum(axis=1)
        # By length, without those of length 0, which are sorted to the front.
        order_M = np.argsort(lengths_N, kind="stable")[int((lengths_N == 0).sum()) :]
        learner: Any = self._engine.module
        with self._engine.forwarding():
            for start in range(0, len(order_M), self._batch_rows):
                rows = order_M[start : start + self._batch_rows]
                ids_NT, mask_NT = self._prompts(ar_prompts_NT, rows)
                a_NE[rows] = learner.reconstructor(ids_NT, mask_NT).float().cpu().numpy()
        return a_NE

    def step(self, rollouts: Rollouts, *, variance: float, factor: float, seed: int) -> Stepped:
        """One step on this rank's share; failed samples stand in it with the weight 0."""
        # Dropout must not depend on where the AR is, nor on what ran before a resume.
        torch.manual_seed(seed_of(seed, self._engine.rank))
        is_explanation_N = rollouts.is_explanation_N
        # Samples are the same in every rank: all ranks return here, or none, so that none waits.
        if not is_explanation_N.any():
            return Stepped(0.0, 0.0)
        # A batch has as many rows whatever failed: engines count their micro-batches.
        ar_prompts_NT = rollouts.ar_prompts_NT.copy()
        ar_prompts_NT[~is_explanation_N] = ar_prompts_NT[is_explanation_N.argmax()]
        lengths_N, own_v_NE = (ar_prompts_NT != NO_TOKEN).sum(axis=1), rollouts.own_v_NE
        # A mean over the explanations of all ranks, divided by the host's variance: hosts take
        # turns, and one that varies more must not count more.
        weight = self._engine.world_size / (is_explanation_N.sum() * variance)
        weights_N = (weight * is_explanation_N).astype(np.float32)
        batches = [
            ArPrompts(
                *self._prompts(ar_prompts_NT, rows),
                v_NE=torch.from_numpy(own_v_NE[rows]).to(self._device),
                weights_N=torch.from_numpy(weights_N[rows]).to(self._device),
            )
            for rows, _ in shares(lengths_N, self._engine, self._micro_batch_rows)
        ]
        return self._engine.step(batches, factor)

    def _prompts(self, ar_prompts_NT: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        is_token_NT = ar_prompts_NT[rows] != NO_TOKEN
        length = int(is_token_NT.sum(axis=1).max())
        # Any id will do where the mask is 0; NO_TOKEN itself is no row of the embedding.
        ids_NT = np.where(is_token_NT, ar_prompts_NT[rows], 0)[:, :length].astype(np.int64)
        mask_NT = is_token_NT[:, :length].astype(np.int64)
        return torch.from_numpy(ids_NT).to(self._device), torch.from_numpy(mask_NT).to(self._device)
