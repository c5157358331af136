"""The ways of hosts into the shared space, as their encoders have them."""

from collections.abc import Mapping, Sequence

import torch

from interlingua.core.shared_space import HostMap, SharedSpace
from interlingua.specs.injection import Centring
from interlingua.store.artifact import Artifact
from interlingua.store.maps import read_encoder


def opened_space(
    inputs: Mapping[str, Artifact],
    tags: Sequence[str],
    *,
    anchor: str,
    centring: Centring,
    is_trained: bool = False,
) -> SharedSpace:
    """The encoders of these hosts, from the inputs `<tag>_encoder`."""
    maps = {}
    for tag in tags:
        encoder = read_encoder(inputs[f"{tag}_encoder"].path)
        maps[tag] = HostMap(
            weight_ED=torch.from_numpy(encoder.weight_ED).float(),
            mean_D=torch.from_numpy(encoder.mean_D).float(),
        )
    return SharedSpace(maps, anchor=anchor, centring=centring, is_trained=is_trained)
