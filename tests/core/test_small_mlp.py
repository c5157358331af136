"""A small network finds what two inputs mean together, also where noise hides it at first."""

import numpy as np
import pytest

from interlingua.core.small_mlp import fitted_mlp

NUM_HELD, WIDTH = 1000, 8


@pytest.mark.parametrize(("num_rows", "noise", "least"), [(1200, 0.7, 0.6), (5000, 1.0, 0.7)])
def test_what_two_facts_mean_together_is_found_beneath_noise(num_rows, noise, least):
    """No sum over single inputs explains it, and its first epochs of training gain nothing."""
    rng = np.random.default_rng(0)
    total = num_rows + NUM_HELD
    first, second = rng.integers(8, size=total), rng.integers(4, size=total)
    others = rng.integers(2, size=(total, 30))
    x = np.concatenate([np.eye(8)[first], np.eye(4)[second], others], axis=1)
    together = rng.normal(size=(8, 4, WIDTH))
    together -= together.mean(0)
    together -= together.mean(1, keepdims=True)
    truth = together[first, second]
    y = truth + noise * rng.normal(size=truth.shape)
    train, held = slice(0, num_rows), slice(num_rows, total)
    predict = fitted_mlp(x[train], y[train], np.arange(num_rows) % 5 == 0, seed=0)
    error = np.square(predict(x[held]) - truth[held]).sum()
    assert 1 - error / np.square(truth[held]).sum() > least


def test_where_there_is_nothing_to_find_it_predicts_zero():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(600, 10)), rng.normal(size=(600, 3))
    predict = fitted_mlp(x, y, np.arange(600) % 5 == 0, seed=0)
    assert np.abs(predict(x)).mean() < 0.1
