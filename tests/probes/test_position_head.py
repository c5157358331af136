"""A head over tokens learns what is asked of it; what an AV reads worse is told with its doubt."""

import numpy as np
import pytest
import torch

from interlingua.core.geometry import rescale
from interlingua.probes.position_head import (
    HeadTraining,
    PositionHead,
    compared,
    cross_host,
    towards,
    trained_head,
)

N, P, D, E = 256, 6, 12, 8
TRAINING = HeadTraining(num_steps=300, learning_rate=3e-3)


@pytest.fixture(scope="module")
def passages():
    """Tokens of unequal number, of which one a passage is marked and holds what is to be said."""
    rng = np.random.default_rng(0)
    h_NPD = rng.standard_normal((N, P, D)).astype(np.float32)
    h_NPD[:, :, -1] = 0
    v_NE = rescale(rng.standard_normal((N, E))).astype(np.float32)
    place_N = rng.integers(0, P - 1, N)
    h_NPD[np.arange(N), place_N, :E] = v_NE
    h_NPD[np.arange(N), place_N, -1] = 6
    h_NPD[::2, P - 1] = np.nan
    return h_NPD, v_NE


@pytest.fixture(scope="module")
def head(passages):
    h_NPD, v_NE = passages
    loss = towards(v_NE)
    return trained_head(h_NPD, np.zeros(D), width=E, loss=loss, training=TRAINING)


def cosines(found_NE, v_NE):
    return (rescale(found_NE) * rescale(v_NE)).mean(axis=1)


def test_it_finds_the_token_that_matters(passages, head):
    h_NPD, v_NE = passages
    assert cosines(head.v_of(h_NPD), v_NE).mean() > 0.5
    wrong_NPD = np.roll(h_NPD, 1, axis=0)
    assert abs(cosines(head.v_of(wrong_NPD), v_NE).mean()) < 0.2


def test_its_vectors_have_the_norm_of_the_space_and_absent_tokens_count_for_nothing(passages, head):
    h_NPD, _ = passages
    v_NE = head.v_of(h_NPD)
    np.testing.assert_allclose(np.linalg.norm(v_NE, axis=1), E**0.5, rtol=1e-5)
    longer_NPD = np.concatenate([h_NPD, np.full((N, 2, D), np.nan, np.float32)], axis=1)
    np.testing.assert_allclose(head.v_of(longer_NPD), v_NE, atol=1e-5)


def test_the_same_seed_gives_the_same_head_and_the_callers_draws_stay(passages):
    h_NPD, v_NE = passages
    few = HeadTraining(num_steps=3)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, other = (
        trained_head(h_NPD, np.zeros(D), width=E, loss=towards(v_NE), training=few)
        for _ in range(2)
    )
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(one.v_of(h_NPD), other.v_of(h_NPD))


def test_gradients_go_through_a_loss_that_is_frozen(passages):
    """As through an AV: what the loss is made of does not move."""
    h_NPD, v_NE = passages
    frozen = torch.nn.Linear(E, E).requires_grad_(False)
    before = frozen.weight.clone()
    wanted_NE = torch.from_numpy(v_NE)

    def loss(rows_B, v_BE):
        return (frozen(v_BE) - wanted_NE[rows_B]).square().mean()

    untrained = PositionHead(np.zeros(D), E)
    found = trained_head(h_NPD, np.zeros(D), width=E, loss=loss, training=TRAINING)
    own, first = (
        float(loss(np.arange(N), torch.from_numpy(one.v_of(h_NPD)))) for one in (found, untrained)
    )
    assert own < 0.7 * first and torch.equal(frozen.weight, before)


def test_what_is_read_worse_is_told_with_its_interval():
    rng = np.random.default_rng(1)
    tokens_N, passages_N = rng.integers(5, 15, N), np.array([f"p{n // 2}" for n in range(N)])
    linear_N = tokens_N * rng.uniform(0.5, 1.0, N)
    nlls = {"linear": linear_N, "worse": linear_N + 0.1 * tokens_N, "same": linear_N.copy()}
    costs = compared(nlls, tokens_N, passages_N, than="linear")
    assert costs["worse"].value == pytest.approx(0.1) and costs["worse"].low > 0.09
    assert (costs["same"].low, costs["same"].high) == (0, 0)
    assert costs["worse"].num_units == N // 2


def test_vectors_of_two_hosts_that_agree_have_cosine_one():
    rng = np.random.default_rng(2)
    v_NE, passages_N = rng.standard_normal((N, E)), np.arange(N).astype(str)
    assert cross_host(v_NE, 3 * v_NE, passages_N).low == pytest.approx(1)
    other = cross_host(v_NE, rng.standard_normal((N, E)), passages_N)
    assert other.low < 0 < other.high
