"""What a bundle knows of its hosts without their models: the ways into the shared space and back.

h: raw activations [N, D] of a host; v: vectors [N, E] in the shared space.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from interlingua.core.familiarity import Familiarity
from interlingua.core.geometry import rescale
from interlingua.core.maps import Decoder
from interlingua.core.shared_space import SharedSpace
from interlingua.models.bundle.bundled import opened_familiarity, opened_maps
from interlingua.models.bundle.display import Place, counted_words, table_html
from interlingua.models.bundle.inputs import vectors_of
from interlingua.models.bundle.system import Activations, given
from interlingua.store.bundle import Manifest


class HostMaps:
    """The maps of the hosts of a bundle, and how far an activation is from what they know."""

    def __init__(
        self,
        hosts: Sequence[str],
        space: SharedSpace,
        decoders: Mapping[str, Decoder],
        familiarity: Mapping[str, Familiarity],
    ) -> None:
        self.hosts, self.space, self.decoders = tuple(hosts), space, decoders
        self.familiarity = familiarity

    @classmethod
    def opened(cls, folder: Path, manifest: Manifest) -> Self:
        """The maps of a bundle."""
        space, decoders = opened_maps(folder, manifest)
        return cls(tuple(manifest.hosts), space, decoders, opened_familiarity(folder, manifest))

    def known(self, host: str | None) -> str:
        """The host; raises ValueError where the bundle does not know it."""
        if not isinstance(host, str) or host not in self.hosts:
            raise ValueError(f"host is {host!r}; this NLA knows: {', '.join(self.hosts)}")
        return host

    def vectors(
        self, activations: ArrayLike | Tensor | Activations, host: str | None
    ) -> tuple[str, np.ndarray, Sequence[Place]]:
        """What a call is given: the host, its vectors [N, D], and where they were read."""
        vectors, named, places = given(activations, host)
        known = self.known(named)
        return known, vectors_of(vectors, self.width(known), known), places

    def width(self, host: str) -> int:
        """The width of a host's activations."""
        return len(self.decoders[host].mean_D)

    def mean_D(self, host: str) -> np.ndarray:
        """The mean of n(h) over `fit`: the best that is said of a host without any text."""
        return self.decoders[host].mean_D

    def v_of(self, host: str, h_ND: np.ndarray) -> Tensor:
        """[N, E]: what the AV is shown of activations."""
        return torch.from_numpy(self.space.v_of(host, h_ND))

    def shares_nearer(self, host: str, h_ND: np.ndarray) -> list[float | None]:
        """Of every activation, how much of `fit` is nearer to the mean; None: too few rows."""
        if host not in self.familiarity or not len(h_ND):
            return [None] * len(h_ND)
        shares: list[float | None] = self.familiarity[host].share_nearer(rescale(h_ND)).tolist()
        return shares

    def of_host(self, a_NE: np.ndarray, host: str | None) -> np.ndarray:
        """The AR's vectors, at the norm sqrt(E), or where a host is named in units of its n(h)."""
        # A decoder was fitted on n(a): at another norm its prediction would be off by a factor.
        n_NE = rescale(a_NE)
        return n_NE if host is None else self.decoders[self.known(host)](n_NE)


def hosts_html(manifest: Manifest, widths: Mapping[str, int]) -> str:
    """The hosts of a bundle, and what is read of each."""
    rows = (
        [
            escape(tag),
            str(widths[tag]),
            f"output of block {host.block_index}",
            type(host.read).__name__,
            str(host.max_tokens),
        ]
        for tag, host in manifest.hosts.items()
    )
    caption = f"NLA of {counted_words(len(manifest.hosts), 'host')}, trained by {manifest.stage}"
    return table_html(caption, ["host", "width", "activation", "read", "most tokens"], rows)
