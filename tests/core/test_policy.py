"""Rewards, advantages and losses beside their definitions written out, and what gradients do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.specs.small_rl import SPEC

from interlingua.core.policy import (
    clipped_terms,
    contrast_rewards,
    group_advantages,
    group_deviation,
    kl_terms,
    log_error_rewards,
    rewarded,
    sample_losses,
    scaled_error_rewards,
    token_means,
    with_failures,
)
from interlingua.specs.rl import Contrast, LogError, ScaledError


def vectors(num_rows, width, seed):
    return np.random.default_rng(seed).normal(size=(num_rows, width))


def normed(x_D):
    return x_D * math.sqrt(len(x_D)) / np.linalg.norm(x_D)


def test_scaled_error_is_the_squared_distance_by_width_and_variance():
    a_NE, v_NE = vectors(5, 7, 0), vectors(5, 7, 1)
    expected = [
        -np.sum((normed(a) - normed(v)) ** 2) / (7 * 0.6) for a, v in zip(a_NE, v_NE, strict=True)
    ]
    np.testing.assert_allclose(scaled_error_rewards(a_NE, v_NE, variance=0.6), expected)


def test_the_mean_vector_earns_about_minus_one():
    v_NE = np.random.default_rng(0).normal(size=(4000, 8)) + 0.5
    u_NE = v_NE / np.linalg.norm(v_NE, axis=1, keepdims=True)
    variance = 1 - np.linalg.norm(u_NE.mean(0)) ** 2
    mean_NE = np.broadcast_to(u_NE.mean(0), v_NE.shape)
    rewards_N = scaled_error_rewards(mean_NE, v_NE, variance=variance)
    # Renormalised it is a little worse than the mean itself.
    resultant = np.linalg.norm(u_NE.mean(0))
    assert rewards_N.mean() == pytest.approx(-2 * (1 - resultant) / (1 - resultant**2))


def test_log_error_is_finite_where_nothing_is_left():
    v_NE = vectors(3, 4, 0)
    rewards_N = log_error_rewards(np.stack([v_NE[0], -v_NE[1], 3 * v_NE[2]]), v_NE)
    np.testing.assert_allclose(rewards_N, [-math.log(1e-8), -math.log(4), -math.log(1e-8)])


def test_contrast_is_the_log_share_of_the_own_activation():
    a_NE, v_BE = vectors(6, 5, 0), vectors(3, 5, 1)
    found_N = contrast_rewards(a_NE, v_BE, temperature=0.2)
    for row in range(6):
        cosines = [a_NE[row] @ v / np.linalg.norm(a_NE[row]) / np.linalg.norm(v) for v in v_BE]
        weights = [math.exp(cosine / 0.2) for cosine in cosines]
        assert found_N[row] == pytest.approx(math.log(weights[row // 2] / sum(weights)))


def test_what_is_not_heard_gets_the_fixed_reward_and_is_counted():
    a_NE, v_BE = vectors(4, 5, 0), vectors(2, 5, 1)
    a_NE[1], a_NE[2], a_NE[3] = np.nan, 0, np.inf
    found = with_failures(scaled_error_rewards(a_NE, a_NE, variance=1.0), failure_reward=-3.0)
    np.testing.assert_allclose(found.rewards_N, [0, -3, -3, -3], atol=1e-12)
    assert found.is_failed_N.tolist() == [False, True, True, True]
    for reward in (ScaledError(), LogError(), Contrast(share=0.5, temperature=0.1)):
        spec = replace(SPEC, reward=reward, length_penalty=0.5)
        failed = rewarded(a_NE, v_BE, np.array([3, 3, 3, 3]), spec=spec, variance=1.0)
        assert failed.is_failed_N.tolist() == [False, True, True, True]
        assert (failed.rewards_N[1:] == min(spec.failure_reward, failed.rewards_N[0])).all()
    nothing = rewarded(np.full((4, 5), np.nan), v_BE, np.ones(4), spec=spec, variance=1.0)
    assert nothing.is_failed_N.all()


@given(st.lists(st.floats(-50, 5), min_size=1, max_size=6), st.floats(-9, -0.1))
def test_no_explanation_earns_less_than_none(heard, failure_reward):
    rewards_N = np.array([*heard, np.nan, np.inf])
    found = with_failures(rewards_N, failure_reward=failure_reward).rewards_N
    assert (found[-2:] == min(failure_reward, *heard)).all() and found[:-2].tolist() == heard


def test_a_spec_mixes_rewards_and_takes_length_from_them():
    a_NE, v_BE, lengths_N = vectors(4, 5, 0), vectors(2, 5, 1), np.array([1, 2, 3, 4])
    v_NE = np.repeat(v_BE, 2, axis=0)
    error_N = scaled_error_rewards(a_NE, v_NE, variance=0.7)
    contrast_N = contrast_rewards(a_NE, v_BE, temperature=0.1)
    mixed = replace(SPEC, reward=Contrast(share=0.25, temperature=0.1), length_penalty=0.01)
    np.testing.assert_allclose(
        rewarded(a_NE, v_BE, lengths_N, spec=mixed, variance=0.7).rewards_N,
        0.75 * error_N + 0.25 * contrast_N - 0.01 * lengths_N,
    )
    logged = replace(SPEC, reward=LogError())
    np.testing.assert_allclose(
        rewarded(a_NE, v_BE, lengths_N, spec=logged, variance=0.7).rewards_N,
        log_error_rewards(a_NE, v_NE),
    )


def test_a_reward_that_nobody_wrote_is_not_another_one():
    spec = replace(SPEC, reward="another reward")
    with pytest.raises(AssertionError, match="another reward"):
        rewarded(vectors(4, 5, 0), vectors(2, 5, 1), np.ones(4), spec=spec, variance=0.7)


def test_advantages_are_standard_scores_of_a_group_with_a_floor():
    rewards_N = np.array([-1.0, -0.5, -2.0, -0.3, -0.2, -0.7])
    found_N = group_advantages(rewards_N, 3, floor=0.1)
    deviations = []
    for group in (rewards_N[:3], rewards_N[3:]):
        mean = sum(group) / 3
        deviations.append(math.sqrt(sum((r - mean) ** 2 for r in group) / 2))
        expected = [(r - mean) / (deviations[-1] + 0.1) for r in group]
        np.testing.assert_allclose(found_N[:3] if group[0] == -1 else found_N[3:], expected)
    assert group_deviation(rewards_N, 3) == pytest.approx(sum(deviations) / 2)
    with pytest.raises(ValueError, match="group_size is 1"):
        group_advantages(rewards_N, 1, floor=0.1)


@given(st.floats(1e-9, 1e-2), st.integers(0, 1000))
def test_noise_below_the_floor_stays_small(noise, seed):
    rewards_N = -0.4 + noise * np.random.default_rng(seed).normal(size=64)
    assert np.abs(group_advantages(rewards_N, 8, floor=0.1)).max() < 5 * noise / 0.1
    # Without a floor the same noise counts as much as any difference.
    assert np.abs(group_advantages(rewards_N, 8, floor=0.0)).max() > 1


def test_a_group_that_agrees_is_left_alone():
    assert (group_advantages(np.full(8, -3.0), 4, floor=0.1) == 0).all()


def test_k3_is_the_kl_in_the_mean_and_its_gradient_that_of_the_kl_from_the_reference():
    logits_V = torch.tensor([0.3, -1.2, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    reference_V = torch.tensor([1.0, 0.2, -0.5, 0.4], dtype=torch.float64).log_softmax(0)
    own_V = logits_V.log_softmax(0)
    weight_V = own_V.exp().detach()  # what is drawn is not differentiated
    k3 = (weight_V * kl_terms(own_V, reference_V)).sum()
    assert k3.item() == pytest.approx((weight_V * (own_V - reference_V)).sum().item())
    (found_V,) = torch.autograd.grad(k3, logits_V, retain_graph=True)
    forward_kl = (reference_V.exp() * (reference_V - own_V)).sum()
    (expected_V,) = torch.autograd.grad(forward_kl, logits_V, retain_graph=True)
    torch.testing.assert_close(found_V, expected_V)
    assert found_V.norm() > 0.1
    naive = (weight_V * (own_V - reference_V)).sum()
    (nothing_V,) = torch.autograd.grad(naive, logits_V)
    torch.testing.assert_close(nothing_V, torch.zeros_like(nothing_V))


def test_k3_is_never_negative_and_zero_where_nothing_moved():
    own_N = torch.linspace(-5, 0, 50)
    assert (kl_terms(own_N, own_N.flip(0)) >= 0).all()
    assert (kl_terms(own_N, own_N) == 0).all()


@pytest.mark.parametrize("advantage", [1.5, -1.5])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_the_clip_takes_the_worse_and_ends_the_gradient_outside(advantage, ratio):
    own = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    loss = clipped_terms(
        own, torch.zeros(1, 1).double(), torch.tensor([advantage]).double(), clip_ratio=0.2
    )
    within = min(max(ratio, 0.8), 1.2)
    assert loss.item() == pytest.approx(-min(ratio * advantage, within * advantage))
    loss.sum().backward()
    is_left = (advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8)
    assert own.grad.item() == pytest.approx(0.0 if is_left else -advantage * ratio)


def test_a_sample_counts_once_whatever_its_length():
    terms_NT = torch.tensor([[1.0, 2.0, 9.0], [4.0, 9.0, 9.0]])
    mask_NT = torch.tensor([[True, True, False], [True, False, False]])
    assert token_means(terms_NT, mask_NT).tolist() == [1.5, 4.0]


def losses(own_NT, **changes):
    given = {
        "sampled_NT": own_NT.detach(),
        "reference_NT": own_NT.detach() - 0.3,
        "advantages_N": torch.tensor([1.0, -2.0]),
        "mask_NT": torch.tensor([[True, True, True], [True, False, False]]),
        "clip_ratio": 0.2,
        "kl_coef": 0.1,
    }
    return sample_losses(own_NT, **{**given, **changes})


def test_on_the_policy_itself_the_gradient_is_that_of_the_policy_gradient():
    own_NT = torch.full((2, 3), -1.0, requires_grad=True)
    losses(own_NT, kl_coef=0.0).sum().backward()
    expected = [[-1 / 3, -1 / 3, -1 / 3], [2.0, 0, 0]]
    torch.testing.assert_close(own_NT.grad, torch.tensor(expected))


def test_nothing_behind_the_end_is_trained_on_whatever_stands_there():
    own_NT = torch.full((2, 3), -1.0)
    own_NT[1, 1:] = float("nan")
    own_NT.requires_grad_()
    total = losses(own_NT).sum()
    total.backward()
    assert total.isfinite()
    assert own_NT.grad[1].tolist()[1:] == [0, 0] and own_NT.grad[1, 0] != 0


def test_the_anchor_pulls_back():
    own_NT = torch.full((2, 3), -1.0, requires_grad=True)
    zero_N = torch.zeros(2)
    losses(own_NT, advantages_N=zero_N, kl_coef=0.5).sum().backward()
    # The reference finds the samples less likely: so should the policy.
    assert (own_NT.grad[0] > 0).all()
