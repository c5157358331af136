"""Specs of the maps from the shared space back into a host. Knows no rows."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative
from interlingua.specs.injection import Centring
from interlingua.specs.maps import RidgeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSpec:
    """The map back into one host, fitted on the AR's vectors of the AV's own explanations."""

    host_tag: str
    block_index: int
    ridge: RidgeSpec

    def __post_init__(self) -> None:
        check_not_negative(self, block_index=self.block_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedDecoderSpec:
    """The map back into one host, fitted on its own encoded activations (`FromEncoder`)."""

    host_tag: str
    block_index: int
    anchor: str
    centring: Centring
    ridge: RidgeSpec

    def __post_init__(self) -> None:
        check_not_negative(self, block_index=self.block_index)
