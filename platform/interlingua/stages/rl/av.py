"""The AV under reinforcement learning, over any engine: samples, log-probs of them, a step.

M rows or samples of one rank, N samples of a step or a batch, T tokens, v [E] the vector that is
explained. The ids of a sample are those that were drawn. Knows neither the loop nor a reward.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.policy import sample_losses
from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.batched import BatchVerbalizer
from interlingua.models.sampling.ending import Decoded, Ending
from interlingua.specs.training import SamplingSpec
from interlingua.stages.rl.batches import padded, shares
from interlingua.stages.rl.roles import NO_TOKEN, Asked, PolicyStepped, Rollouts
from interlingua.stages.sft.engine import Engine


@dataclass(frozen=True, slots=True, eq=False)
class PolicyBatch:
    """Samples of one host; `weight` makes their summed losses a part of the step's mean.

    `sampled_NT` and `reference_NT` are log p of the ids, as they were sampled and under AV_init.
    """

    host_tag: str
    v_NE: Tensor
    ids_NT: Tensor
    sampled_NT: Tensor
    reference_NT: Tensor
    advantages_N: Tensor
    weight: float


class Policy(nn.Module):
    """The verbalizer with the loss of reinforcement learning, and its log-probs of samples."""

    def __init__(
        self,
        verbalizer: Verbalizer,
        prompts: Mapping[str, AvPrompt],
        *,
        clip_ratio: float,
        kl_coef: float,
    ) -> None:
        super().__init__()
        self.verbalizer = verbalizer
        self._prompts, self._clip_ratio, self._kl_coef = prompts, clip_ratio, kl_coef
        self._log_ratios: list[Tensor] = []

    def forward(self, batch: PolicyBatch) -> Tensor:
        """The batch's part of the mean over the samples of the step."""
        log_probs_NT = self.log_probs(batch.host_tag, batch.v_NE, batch.ids_NT)
        mask_NT = batch.ids_NT != NO_TOKEN
        # Both are of the same weights: what is not 0 is how decoding and learning round apart.
        apart_NT = log_probs_NT.detach() - batch.sampled_NT
        self._log_ratios.append(apart_NT[mask_NT].abs())
        losses_N = sample_losses(
            log_probs_NT,
            sampled_NT=batch.sampled_NT,
            reference_NT=batch.reference_NT,
            advantages_N=batch.advantages_N,
            mask_NT=mask_NT,
            clip_ratio=self._clip_ratio,
            kl_coef=self._kl_coef,
        )
        return losses_N.sum() * batch.weight

    def taken_log_ratios(self) -> np.ndarray:
        """|log p - log p as it was sampled| of every token of the batches since the last call."""
        ratios_M: np.ndarray = torch.cat(self._log_ratios).double().cpu().numpy()
        self._log_ratios.clear()
        return ratios_M

    def log_probs(self, host_tag: str, v_NE: Tensor, ids_NT: Tensor) -> Tensor:
        """[N, T]: log p of the very ids that were drawn; 0 behind a sample's end.

        Tokenising the text again may give other ids, and the ratio would compare two texts.
        """
        prompt = self._prompts[host_tag].to(v_NE.device)
        return -self.verbalizer.nll(prompt, v_NE, ids_NT)


class SampleTexts:
    """The texts of samples, and the AR's prompts of them; `encode` makes a prompt of a text."""

    def __init__(
        self, ending: Ending, encode: Callable[[str], Sequence[int]], *, max_tokens: int
    ) -> None:
        self._ending, self._encode, self._max_tokens = ending, encode, max_tokens

    def ar_prompt(self, sample: Decoded) -> Sequence[int]:
        """The AR's prompt; none for a sample that is no explanation."""
        explanation = sample.explanation
        ar_prompt = self._encode(explanation) if explanation is not None else ()
        # Too long counts as failed, not cut: else the reward would be of half a text.
        return ar_prompt if len(ar_prompt) <= self._max_tokens else ()

    def explanation(self, ids: list[int]) -> str | None:
        """The text between the tags of these ids."""
        return self._ending.decoded(ids, []).explanation


class EngineVerbalizer:
    """The AV that is trained: every rank draws, and learns from, its share of a step."""

    def __init__(
        self,
        engine: Engine,
        verbalizer: BatchVerbalizer,
        texts: SampleTexts,
        *,
        max_new_tokens: int,
        micro_batch_rows: int,
        device: str,
    ) -> None:
        self._engine, self._verbalizer, self._texts = engine, verbalizer, texts
        self._max_new_tokens, self._micro_batch_rows = max_new_tokens, micro_batch_rows
        self._device = device
        self.rank, self.gathered = engine.rank, engine.gathered
        self.weights, self.save, self.load = engine.trained_weights, engine.save, engine.load

    def sample(self, asked: Asked, *, num_samples: int, seed: int) -> Rollouts:
        """Samples at temperature 1, in the dtype that the policy is trained in; all in every rank.

        At another temperature the log-probs of the loss would not be of the drawn distribution.
        """
        sampling = SamplingSpec(
            seed=seed, temperature=1.0, samples=num_samples, max_new_tokens=self._max_new_tokens
        )
        rank, num_ranks = self._engine.rank, self._engine.world_size
        v_ME = torch.from_numpy(asked.v_BE[rank::num_ranks])
        with self._engine.forwarding():
            mine = self._verbalizer.verbalize(
                asked.host_tag, v_ME, asked.names[rank::num_ranks], sampling
            )
        by_rank = self._engine.gathered(mine)
        # Row i was drawn by rank i % num_ranks as its row i // num_ranks: back in the asked order,
        # the samples of an activation side by side, as rewards and advantages take them.
        samples = [
            sample
            for row in range(len(asked.v_BE))
            for sample in by_rank[row % num_ranks][row // num_ranks]
        ]
        return Rollouts(
            host_tag=asked.host_tag,
            v_BE=asked.v_BE,
            ids_NT=padded([s.ids for s in samples], NO_TOKEN, np.int32),
            log_probs_NT=padded([s.log_probs for s in samples], 0, np.float32),
            ar_prompts_NT=padded([self._texts.ar_prompt(s) for s in samples], NO_TOKEN, np.int32),
        )

    def explanations(self, rollouts: Rollouts) -> list[str | None]:
        """The texts between the tags; None where the AR has no prompt."""
        return [
            self._texts.explanation(ids_T[ids_T != NO_TOKEN].tolist()) if is_explanation else None
            for ids_T, is_explanation in zip(
                rollouts.ids_NT, rollouts.is_explanation_N, strict=True
            )
        ]

    def step(
        self,
        rollouts: Rollouts,
        *,
        advantages_N: np.ndarray,
        reference_NT: np.ndarray,
        factor: float,
    ) -> PolicyStepped:
        """One step on this rank's share, samples of like length together."""
        # A mean over all samples of the step, failed ones too, times world_size: engines take the
        # mean over ranks.
        weight, own_v_NE = self._engine.world_size / len(advantages_N), rollouts.own_v_NE
        batches = []
        for rows, length in shares(rollouts.num_tokens_N, self._engine, self._micro_batch_rows):
            arrays = {
                "v_NE": own_v_NE[rows],
                "ids_NT": rollouts.ids_NT[rows, :length].astype(np.int64),
                "sampled_NT": rollouts.log_probs_NT[rows, :length],
                "reference_NT": reference_NT[rows, :length],
                "advantages_N": advantages_N[rows].astype(np.float32),
            }
            on_device = {n: torch.from_numpy(x).to(self._device) for n, x in arrays.items()}
            batches.append(PolicyBatch(host_tag=rollouts.host_tag, weight=weight, **on_device))
        policy: Any = self._engine.module
        stepped = self._engine.step(batches, factor)
        # Of all ranks: a percentile of one rank's tokens could stop that rank alone.
        ratios_M = np.concatenate(self._engine.gathered(policy.taken_log_ratios()))
        return PolicyStepped(
            **asdict(stepped),
            log_ratio_mean=float(ratios_M.mean()),
            log_ratio_p99=float(np.percentile(ratios_M, 99)),
        )


class Reference:
    """AV_init: the policy's own module with the weights of its start switched in.

    `weights` None: the module is a copy that is never trained, and nothing is switched.
    """

    def __init__(
        self, engine: Engine, weights: Mapping[str, Tensor] | None, *, batch_rows: int, device: str
    ) -> None:
        self._engine, self._batch_rows, self._device = engine, batch_rows, device
        self._weights = {n: w.to(device) for n, w in weights.items()} if weights else None

    def log_probs(self, rollouts: Rollouts) -> np.ndarray:
        """[N, T]: AV_init's log p of the drawn ids; 0 behind a sample's end."""
        found_NT = np.zeros(rollouts.ids_NT.shape, np.float32)
        own_v_NE, lengths_N = rollouts.own_v_NE, rollouts.num_tokens_N
        # Like lengths together, and each batch cut to its longest: padding costs a forward, too.
        order_N = np.argsort(lengths_N, kind="stable")
        policy: Any = self._engine.module
        with switched(policy, self._weights), self._engine.forwarding():
            for start in range(0, len(order_N), self._batch_rows):
                rows = order_N[start : start + self._batch_rows]
                length = int(lengths_N[rows].max())
                ids_NT = torch.from_numpy(rollouts.ids_NT[rows, :length].astype(np.int64))
                v_NE = torch.from_numpy(own_v_NE[rows])
                log_probs_NT = policy.log_probs(
                    rollouts.host_tag, v_NE.to(self._device), ids_NT.to(self._device)
                )
                found_NT[rows, :length] = log_probs_NT.float().cpu().numpy()
        return found_NT


@contextmanager
def switched(module: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Put other weights in the place of the trained ones, for the length of a block."""
    trained = {n: w for n, w in module.named_parameters() if w.requires_grad and weights}
    # Storage changes hands, nothing is copied: engines keep views of it, which must come back.
    own = {name: weight.data for name, weight in trained.items()}
    try:
        for name, weight in trained.items():
            assert weights is not None
            weight.data = weights[name].to(weight.dtype)
        yield
    finally:
        for name, weight in trained.items():
            weight.data = own[name]
