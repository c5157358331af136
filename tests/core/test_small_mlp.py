"""A small network finds what two inputs mean together, also where noise hides it at first."""

import numpy as np

from interlingua.core.small_mlp import fitted_mlp

NUM_ROWS, NUM_HELD, WIDTH = 6000, 1000, 8


def test_what_two_facts_mean_together_is_found_beneath_noise():
    """No sum over single inputs explains it, and its first epochs of training gain nothing."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(8, size=NUM_ROWS), rng.integers(4, size=NUM_ROWS)
    others = rng.integers(2, size=(NUM_ROWS, 60))
    x = np.concatenate([np.eye(8)[first], np.eye(4)[second], others], axis=1)
    together = rng.normal(size=(8, 4, WIDTH))
    together -= together.mean(0)
    together -= together.mean(1, keepdims=True)
    truth = together[first, second]
    y = truth + rng.normal(size=truth.shape)
    train = slice(0, NUM_ROWS - NUM_HELD)
    is_held = np.arange(NUM_ROWS - NUM_HELD) % 5 == 0
    predict = fitted_mlp(x[train], y[train], is_held, seed=0)
    held = slice(NUM_ROWS - NUM_HELD, NUM_ROWS)
    error = np.square(predict(x[held]) - truth[held]).sum()
    assert 1 - error / np.square(truth[held]).sum() > 0.7
