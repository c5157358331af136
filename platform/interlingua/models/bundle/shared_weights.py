"""Weights that opened models have in common, held once: a trunk under the AV, the AR and a host."""

import threading
import weakref
from collections.abc import Iterable

import torch
from torch import nn

LEAST_BYTES = 4096  # smaller ones are not worth the search
ALIGNMENT = 64
Key = tuple[tuple[int, ...], torch.dtype, torch.device, int, tuple[float, ...]]


class SharedWeights:
    """Gives parameters that nobody trains the storage of equal ones that are open already.

    A model that is closed takes with it what no other uses. Equal is to the bit.
    """

    def __init__(self) -> None:
        self._known: dict[Key, list[weakref.ref[nn.Parameter]]] = {}
        self._lock = threading.Lock()  # hosts are opened in a thread of their own

    def share(self, parameters: Iterable[nn.Parameter]) -> int:
        """Share what can be; returns how many bytes that gives back."""
        with self._lock:
            return sum(self._shared(one) for one in parameters if one.nbytes >= LEAST_BYTES)

    def _shared(self, parameter: nn.Parameter) -> int:
        key = _key(parameter)
        alive = [one for ref in self._known.get(key, ()) if (one := ref()) is not None]
        equal = next((one for one in alive if torch.equal(one, parameter)), None)
        self._known[key] = [weakref.ref(one) for one in (*alive, parameter)]
        if equal is None or equal.data_ptr() == parameter.data_ptr():
            return 0
        num_bytes = parameter.nbytes
        parameter.data = equal.data
        return num_bytes


def frozen(model: nn.Module) -> Iterable[nn.Parameter]:
    """The parameters that its training left as they were."""
    return (one for one in model.parameters() if not one.requires_grad)


def _key(parameter: nn.Parameter) -> Key:
    # The first values tell nearly all unequal ones apart, so that few are compared whole.
    first = tuple(parameter.detach().reshape(-1)[:8].float().tolist())
    # Sums are rounded otherwise at another alignment: bits must not depend on who shares.
    place = parameter.data_ptr() % ALIGNMENT
    return tuple(parameter.shape), parameter.dtype, parameter.device, place, first
