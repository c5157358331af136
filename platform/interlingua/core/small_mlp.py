"""A small network from rows to rows, with the weights that err least on held-out rows.

On one thread; the same seed gives the same network. Knows no host, no passage and no file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

NUM_HIDDEN = 128
BATCH_ROWS = 256
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-4
# In steps, not epochs: of few rows an epoch is a handful, and what two inputs mean together
# is found late, after errors on held-out rows have risen for a while.
MAX_STEPS = 10_000
PATIENCE = 1_000
# Of a published decoder; its batches and weight decay are those above.
NUM_HIDDEN_PUBLISHED = 4096
RATE_PUBLISHED = 1e-3
NUM_EPOCHS_PUBLISHED = 10

Predict = Callable[[np.ndarray], np.ndarray]


def fitted_mlp(x_NE: np.ndarray, y_ND: np.ndarray, is_held_N: np.ndarray, *, seed: int) -> Predict:
    """A network that predicts zero at first, trained until it no longer improves on held rows.

    `is_held_N` is True for the rows that stop the training and are not trained on. Where nothing is
    gained on them, the network that is returned still predicts zero.
    """
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


def widened(x_NE: np.ndarray, y_ND: np.ndarray, *, seed: int) -> Predict:
    """A wide network as published for what a linear map leaves: ten epochs, whatever they gain."""
    inputs, outputs = (torch.from_numpy(np.asarray(array, np.float32)) for array in (x_NE, y_ND))
    with _one_seeded_thread(seed):
        network = _network(x_NE.shape[1], y_ND.shape[1], NUM_HIDDEN_PUBLISHED)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=RATE_PUBLISHED, weight_decay=WEIGHT_DECAY
        )
        for _ in range(NUM_EPOCHS_PUBLISHED):
            for rows_B in torch.randperm(len(inputs)).split(BATCH_ROWS):
                optimizer.zero_grad()
                nn.functional.mse_loss(network(inputs[rows_B]), outputs[rows_B]).backward()
                optimizer.step()
    return lambda rows_NE: _predicted(network, rows_NE)


def _train(
    network: nn.Module,
    train: tuple[torch.Tensor, torch.Tensor],
    held: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Train until PATIENCE steps in a row gain nothing; then restore the best, or the start."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    # The start competes: where training only overfits, the network stays at zero.
    best, least, num_steps, best_step = _state(network), _error(network, *held), 0, 0
    while num_steps < MAX_STEPS and num_steps - best_step < PATIENCE:
        for rows_B in torch.randperm(len(train[0])).split(BATCH_ROWS):
            optimizer.zero_grad()
            error = nn.functional.mse_loss(network(train[0][rows_B]), train[1][rows_B])
            error.backward()
            optimizer.step()
            num_steps += 1
        found = _error(network, *held)
        if found < least:
            best, least, best_step = _state(network), found, num_steps
    network.load_state_dict(best)


def _network(num_inputs: int, num_outputs: int, num_hidden: int = NUM_HIDDEN) -> nn.Module:
    # A last layer of zeros: what the network is added to is first left as it is.
    last = nn.Linear(num_hidden, num_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(num_inputs, num_hidden), nn.GELU(), last)


@torch.no_grad()
def _error(network: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> float:
    return float(nn.functional.mse_loss(network(inputs), outputs))


@torch.no_grad()
def _predicted(network: nn.Module, x_NE: np.ndarray) -> np.ndarray:
    found = network(torch.from_numpy(np.asarray(x_NE, np.float32)))
    return np.asarray(found.numpy(), dtype=np.float64)


def _state(network: nn.Module) -> dict[str, torch.Tensor]:
    # A state dict shares its tensors with the network: uncopied, the best would train on.
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@contextmanager
def _one_seeded_thread(seed: int) -> Iterator[None]:
    """One thread and a seed of its own; the caller's threads and generator are restored."""
    num_threads = torch.get_num_threads()
    # The order of a sum depends on the number of threads, and with it the last bits of a weight.
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(num_threads)
