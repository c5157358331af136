"""A new reward: what a formula pays, and the edit that makes it one.

    PYTHONPATH=platform .venv/bin/python examples/new_reward.py

A reward is a frozen value of the spec and a function of arrays. The union `Reward` is closed: a
record is then read back by whoever has the package, on any machine, and mypy names every `match`
that lacks a case. So a reward is tried here, and moves into the package to be trained with:

1. `specs/rl.py`: the class `Margin`, and `| Margin` at the end of `Reward`;
2. `core/policy.py`: the function `margin_rewards`, and its case in `rewarded`:

        case Margin():
            rewards_N = margin_rewards(a_NE, v_BE)

3. `tests/core/test_policy.py`: the formula written out for a few vectors.

Nothing else needs to know: `--set` then takes `margin` at the path of the reward that
`interlingua rl world --values` lists.
"""

from dataclasses import dataclass

import numpy as np

from interlingua.core.geometry import has_direction, unit
from interlingua.core.policy import group_advantages, scaled_error_rewards, with_failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much nearer the rebuilt vector is to its own activation than to the next of the step."""


def margin_rewards(a_NE: np.ndarray, v_BE: np.ndarray) -> np.ndarray:
    """cos to the own activation less the greatest cos to another; NaN where there is no direction.

    N samples of B activations of one host, those of an activation side by side.
    """
    if len(v_BE) < 2:
        raise ValueError("a step has one activation; a margin needs another to be nearer than")
    rows_M = np.flatnonzero(has_direction(a_NE))
    own_M = rows_M // (len(a_NE) // len(v_BE))
    cos_MB = unit(a_NE[rows_M]) @ unit(v_BE).T
    own_cos_M = cos_MB[np.arange(len(rows_M)), own_M].copy()
    cos_MB[np.arange(len(rows_M)), own_M] = -np.inf
    rewards_N = np.full(len(a_NE), np.nan)
    rewards_N[rows_M] = own_cos_M - cos_MB.max(axis=1)
    return rewards_N


def main() -> None:
    """Three explanations of each of two activations that have most in common."""
    shared_E, own_E, other_E = np.eye(3)
    v_BE = np.stack([3 * shared_E + own_E, 3 * shared_E + other_E])
    says = ("what both share", "what is its own", "nothing (no vector)")
    nothing_E = np.full(3, np.nan)
    a_NE = np.stack([shared_E, own_E, nothing_E, shared_E, other_E, nothing_E])
    rewards = {
        "ScaledError": scaled_error_rewards(a_NE, np.repeat(v_BE, 3, axis=0), variance=1.0),
        "Margin": margin_rewards(a_NE, v_BE),
    }
    for name, rewards_N in rewards.items():
        # A sample that failed earns no more than the worst that did not.
        paid_N = with_failures(rewards_N, failure_reward=-3.0).rewards_N
        advantages_N = group_advantages(paid_N, 3, floor=0.1)
        for text, reward, advantage in zip(says, paid_N[:3], advantages_N[:3], strict=True):
            print(f"{name:12} {text:20} reward {reward:6.2f}   advantage {advantage:6.2f}")


if __name__ == "__main__":
    main()
