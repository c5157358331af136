"""The mathematics of reinforcement learning: rewards, advantages, the policy's loss.

N = B G samples: G for each of B activations, those of one activation side by side. v is what the AV
was shown, a what the AR makes of a sample, NaN where it could not be read; E their width, T tokens,
M samples with a direction. Knows no model and no text.
"""

from collections.abc import Callable
from typing import NamedTuple, assert_never

import numpy as np
import torch
from torch import Tensor

from interlingua.core.geometry import has_direction, nmse, unit
from interlingua.specs.rl import Contrast, LogError, RlSpec, ScaledError

LEAST_ERROR = 1e-8  # the logarithm of a perfect reconstruction would be infinite


class Rewarded(NamedTuple):
    """The reward of every sample, and True for those that failed and have the fixed one."""

    rewards_N: np.ndarray
    is_failed_N: np.ndarray


def rewarded(
    a_NE: np.ndarray,
    v_BE: np.ndarray,
    num_tokens_N: np.ndarray,
    *,
    spec: RlSpec,
    variance: float,
) -> Rewarded:
    """The rewards of one host's samples, by the reward and the penalties of the spec.

    `variance` is the `mean_variance` of the host's v, one number for the whole run.
    """
    # repeat and not tile: sample i is of activation i // G. The other order pairs every sample with
    # another activation, and looks like a reward that nothing improves.
    v_NE = np.repeat(v_BE, len(a_NE) // len(v_BE), axis=0)
    match spec.reward:
        case ScaledError():
            rewards_N = scaled_error_rewards(a_NE, v_NE, variance=variance)
        case LogError():
            rewards_N = log_error_rewards(a_NE, v_NE)
        case Contrast(share=share, temperature=temperature):
            errors_N = scaled_error_rewards(a_NE, v_NE, variance=variance)
            told_N = contrast_rewards(a_NE, v_BE, temperature=temperature)
            rewards_N = (1 - share) * errors_N + share * told_N
        case _:
            assert_never(spec.reward)
    # Failures last: they have no length penalty, and the least of the step is a whole reward.
    return with_failures(
        rewards_N - spec.length_penalty * num_tokens_N, failure_reward=spec.failure_reward
    )


def scaled_error_rewards(a_NE: np.ndarray, v_NE: np.ndarray, *, variance: float) -> np.ndarray:
    """-||n(a) - n(v)||^2 / (E Var): about -1 for the mean vector, the same scale for every host."""
    return _where_directed(
        a_NE, lambda directed_N: -nmse(a_NE[directed_N], v_NE[directed_N]) / variance
    )


def log_error_rewards(a_NE: np.ndarray, v_NE: np.ndarray) -> np.ndarray:
    """-log NMSE: to halve the error earns the same, however large the error is."""
    return _where_directed(
        a_NE,
        lambda directed_N: (
            -np.log(np.maximum(nmse(a_NE[directed_N], v_NE[directed_N]), LEAST_ERROR))
        ),
    )


def contrast_rewards(a_NE: np.ndarray, v_BE: np.ndarray, *, temperature: float) -> np.ndarray:
    """InfoNCE: log of the share that a sample's own activation has among those of the step.

    All are of one host: with several, a text that only names the host would earn something.
    """
    group_size = len(a_NE) // len(v_BE)
    own_N = np.repeat(np.arange(len(v_BE)), group_size)

    def rewards(directed_N: np.ndarray) -> np.ndarray:
        scores_MB = unit(a_NE[directed_N]) @ unit(v_BE).T / temperature
        # exp of cosine / temperature overflows at a low temperature; the share is the same without.
        scores_MB -= scores_MB.max(axis=1, keepdims=True)
        log_total_M = np.log(np.exp(scores_MB).sum(axis=1))
        return np.asarray(scores_MB[np.arange(len(scores_MB)), own_N[directed_N]] - log_total_M)

    return _where_directed(a_NE, rewards)


def with_failures(rewards_N: np.ndarray, *, failure_reward: float) -> Rewarded:
    """The rewards with the fixed one where there is none (no tags, truncated, too long for the AR).

    Failing never earns more than the worst sample of the step that was read: not all rewards are
    bounded below, and leaving an explanation unfinished must not be a way out.
    """
    is_failed_N = ~np.isfinite(rewards_N)
    # `initial` is a bound from above, and the reward where every sample failed.
    least = float(np.min(rewards_N[~is_failed_N], initial=failure_reward))
    return Rewarded(np.where(is_failed_N, least, rewards_N), is_failed_N)


def group_advantages(rewards_N: np.ndarray, group_size: int, *, floor: float) -> np.ndarray:
    """(reward - mean) / (standard deviation + floor), each over the samples of one activation.

    Without the floor the noise of a group that agrees counts as much as a real difference, and
    the policy drifts into codes of its own, with the highest reward.
    """
    if group_size < 2:
        raise ValueError(f"group_size is {group_size}; one sample has nothing to be better than")
    rewards_BG = np.asarray(rewards_N, dtype=np.float64).reshape(-1, group_size)
    # A sample is in the mean of its own group: this is (G - 1) / G of its lead over the others.
    away_BG = rewards_BG - rewards_BG.mean(axis=1, keepdims=True)
    deviation_B1 = rewards_BG.std(axis=1, ddof=1, keepdims=True)
    return np.asarray((away_BG / (deviation_B1 + floor)).reshape(-1))


def group_deviation(rewards_N: np.ndarray, group_size: int) -> float:
    """The mean standard deviation within groups: near 0 there is nothing left to learn from."""
    return float(rewards_N.reshape(-1, group_size).std(axis=1, ddof=1).mean())


def kl_terms(log_probs_NT: Tensor, reference_NT: Tensor) -> Tensor:
    """k3 of every token, exp(d) - 1 - d with d = reference - own: never negative.

    Its mean over own samples is KL(own || reference); the mean of its gradient is that of
    KL(reference || own). Differentiating `own - reference` instead gives a gradient of mean zero:
    noise, not an anchor.
    """
    d_NT = reference_NT - log_probs_NT
    # expm1: for equal distributions exp(d) - 1 would be rounding alone.
    return torch.expm1(d_NT) - d_NT


def clipped_terms(
    log_probs_NT: Tensor, sampled_NT: Tensor, advantages_N: Tensor, *, clip_ratio: float
) -> Tensor:
    """The loss of every token: ratio times advantage, but nothing for leaving the clip."""
    ratio_NT = (log_probs_NT - sampled_NT).exp()
    advantages_N1 = advantages_N[:, None]
    # Every sample is of the weights that learn from it, so that the ratio is 1 up to rounding, and
    # its gradient that of log p: the clip bites only where sampling and learning round apart.
    within_NT = ratio_NT.clamp(1 - clip_ratio, 1 + clip_ratio)
    # The smaller gain: beyond the clip nothing is earned, but a loss keeps its gradient.
    return -torch.minimum(ratio_NT * advantages_N1, within_NT * advantages_N1)


def token_means(terms_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """[N]: the mean over a sample's own tokens, so that a long one counts no more than a short.

    A sample without any token has 0, and so no gradient.
    """
    return (terms_NT * mask_NT).sum(1) / mask_NT.sum(1).clamp(min=1)


def sample_losses(
    log_probs_NT: Tensor,
    *,
    sampled_NT: Tensor,
    reference_NT: Tensor,
    advantages_N: Tensor,
    mask_NT: Tensor,
    clip_ratio: float,
    kl_coef: float,
) -> Tensor:
    """[N]: every sample's loss; the step's is their mean. The mask ends with a sample's end.

    All log-probabilities are at temperature 1 and of the ids that were drawn: `sampled_NT` as they
    were when drawn, `reference_NT` under AV_init, `log_probs_NT` under the weights that learn.
    """
    # Before any product: what stands behind an end may not be finite, and 0 times that is not 0.
    own_NT, sampled_NT, reference_NT = (
        torch.where(mask_NT, each_NT, 0) for each_NT in (log_probs_NT, sampled_NT, reference_NT)
    )
    policy_NT = clipped_terms(own_NT, sampled_NT, advantages_N, clip_ratio=clip_ratio)
    return token_means(policy_NT + kl_coef * kl_terms(own_NT, reference_NT), mask_NT)


def _where_directed(a_NE: np.ndarray, rewards: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Rewards of the samples with a direction; NaN for the others, which `with_failures` counts."""
    rewards_N = np.full(len(a_NE), np.nan)
    directed_N = has_direction(a_NE)
    if directed_N.any():
        rewards_N[directed_N] = rewards(directed_N)
    return rewards_N
