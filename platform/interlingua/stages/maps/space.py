"""The shared space, opened from the artifacts of its hosts' encoders."""

from collections.abc import Mapping

import torch

from interlingua.core.shared_space import HostMap, SharedSpace
from interlingua.specs.injection import Centring
from interlingua.store.artifact import Artifact
from interlingua.store.maps import read_encoder


def opened_space(
    encoders: Mapping[str, Artifact], *, anchor: str, centring: Centring, is_trained: bool = False
) -> SharedSpace:
    """The encoders of these hosts by tag, the anchor's always among them.

    The anchor has the width of the space, and the mean that is added where nothing is centred.
    """
    maps = {}
    for tag, artifact in encoders.items():
        encoder = read_encoder(artifact.path)
        maps[tag] = HostMap(
            # Fitted in fp64, used in fp32: so the AV sees the same v in training and afterwards.
            weight_ED=torch.from_numpy(encoder.weight_ED).float(),
            mean_D=torch.from_numpy(encoder.mean_D).float(),
        )
    return SharedSpace(maps, anchor=anchor, centring=centring, is_trained=is_trained)
