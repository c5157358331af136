"""From a host's raw activation to the vector that is injected, v, and back. Knows no model.

c = n(h) - m, e = E c, v = n(e): the chain of one host. An anchor's E is the identity. h is a raw
activation, m the mean of n(h) over `fit`, n(x) is x at the norm sqrt(d). B or N rows, D the width
of the host, E that of the anchor.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from interlingua.core.injection import scaled
from interlingua.specs.injection import Centring


@dataclass(frozen=True, slots=True, eq=False)
class HostMap:
    """The encoder of one host: its matrix E and its mean m, in fp32."""

    weight_ED: Tensor
    mean_D: Tensor


class SharedSpace(nn.Module):
    """The encoders of several hosts, to train or to leave as they are.

    Without centring the anchor's own mean is added to e: for the anchor v is then n(h) itself.
    """

    def __init__(
        self,
        maps: Mapping[str, HostMap],
        *,
        anchor: str,
        centring: Centring,
        is_trained: bool,
    ) -> None:
        super().__init__()
        self.tags = tuple(maps)
        self.width = len(maps[anchor].weight_ED)
        # Module names take no dots or dashes: hosts go by their place.
        self._place = {tag: str(place) for place, tag in enumerate(maps)}
        for tag, host in maps.items():
            name = f"weight_{self._place[tag]}"
            # The anchor defines the space: its map is the identity and stays so. What is not
            # trained is a buffer, which a bf16 forward leaves in fp32.
            if is_trained and tag != anchor:
                self.register_parameter(name, nn.Parameter(host.weight_ED.clone()))
            else:
                self.register_buffer(name, host.weight_ED.clone())
            self.register_buffer(f"mean_{self._place[tag]}", host.mean_D.clone())
        is_centred = centring is Centring.HOST_MEAN
        anchor_mean_E = maps[anchor].mean_D
        offset_E = torch.zeros_like(anchor_mean_E) if is_centred else anchor_mean_E.clone()
        self.register_buffer("offset_E", offset_E)

    def forward(self, tag: str, h_BD: Tensor) -> Tensor:
        """v of raw activations of a host, in fp32: only the direction of h counts."""
        # n before m: m is a mean of n(h); the other way round the norm of h would weigh m.
        c_BD = scaled(h_BD, h_BD.shape[-1] ** 0.5) - self.mean_of(tag)
        e_BE = c_BD @ self.weight_of(tag).float().T + self.get_buffer("offset_E")
        return scaled(e_BE, self.width**0.5)

    @torch.no_grad()
    def v_of(self, tag: str, h_ND: np.ndarray) -> np.ndarray:
        """v of rows as they are stored, without gradients."""
        v_NE: np.ndarray = self(tag, torch.from_numpy(h_ND)).numpy()
        return v_NE

    def weight_of(self, tag: str) -> Tensor:
        """E of a host."""
        weight_ED: Tensor = getattr(self, f"weight_{self._place[tag]}")
        return weight_ED

    def mean_of(self, tag: str) -> Tensor:
        """m of a host."""
        return self.get_buffer(f"mean_{self._place[tag]}").float()
