"""A small network from rows to rows, kept as it was when it met the held rows best.

On one thread; the same seed gives the same network. Knows no host, no passage and no file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

NUM_HIDDEN = 128
BATCH_ROWS = 256
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
MAX_EPOCHS = 100
PATIENCE = 5

Predict = Callable[[np.ndarray], np.ndarray]


def fitted_mlp(x_NE: np.ndarray, y_ND: np.ndarray, is_held_N: np.ndarray, *, seed: int) -> Predict:
    """The network that says zero at first, and at the end what errs least on the held rows."""
    inputs, outputs = (torch.from_numpy(np.asarray(array, np.float32)) for array in (x_NE, y_ND))
    is_held = torch.from_numpy(is_held_N)
    with _one_seeded_thread(seed):
        network = _network(x_NE.shape[1], y_ND.shape[1])
        _train(
            network,
            (inputs[~is_held], outputs[~is_held]),
            (inputs[is_held], outputs[is_held]),
        )
    return lambda rows_NE: _predicted(network, rows_NE)


def _train(
    network: nn.Module,
    train: tuple[torch.Tensor, torch.Tensor],
    held: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Until PATIENCE epochs in a row brought nothing; then back to the best, which may be none."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, least, num_idle = _state(network), _error(network, *held), 0
    for _ in range(MAX_EPOCHS):
        for rows_B in torch.randperm(len(train[0])).split(BATCH_ROWS):
            optimizer.zero_grad()
            error = nn.functional.mse_loss(network(train[0][rows_B]), train[1][rows_B])
            error.backward()
            optimizer.step()
        found = _error(network, *held)
        num_idle += 1
        if found < least:
            best, least, num_idle = _state(network), found, 0
        if num_idle == PATIENCE:
            break
    network.load_state_dict(best)


def _network(num_inputs: int, num_outputs: int) -> nn.Module:
    last = nn.Linear(NUM_HIDDEN, num_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(num_inputs, NUM_HIDDEN), nn.GELU(), last)


@torch.no_grad()
def _error(network: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> float:
    return float(nn.functional.mse_loss(network(inputs), outputs))


@torch.no_grad()
def _predicted(network: nn.Module, x_NE: np.ndarray) -> np.ndarray:
    found = network(torch.from_numpy(np.asarray(x_NE, np.float32)))
    return np.asarray(found.numpy(), dtype=np.float64)


def _state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@contextmanager
def _one_seeded_thread(seed: int) -> Iterator[None]:
    """The caller's threads and random numbers are as before afterwards."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(num_threads)
