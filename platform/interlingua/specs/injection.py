"""The named choices of injection and readout. Knows neither tensors nor files."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from interlingua.specs.checks import check_not_negative, check_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """The vector takes the place of the marker's input embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterBlock:
    """The vector's direction is added to the output of a block, with the norm that is there.

    Karvonen's rule, and so named in sidecars.
    """

    index: int

    def __post_init__(self) -> None:
        check_not_negative(self, index=self.index)


InjectionRule = Replace | AfterBlock


class Centring(StrEnum):
    """The vector that is subtracted from a normalised activation before it is injected."""

    NONE = "none"
    HOST_MEAN = "host_mean"


class Readout(StrEnum):
    """The input of the AR's value head; checkpoints of the two are not interchangeable."""

    RAW = "W h"
    NORMALIZED = "W n(h)"


class BosRule(StrEnum):
    """The rule for a BOS token at the beginning of the AR's prompt."""

    TOKENIZER_DEFAULT = "tokenizer_default"  # as the tokenizer begins a text
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """A matrix and a bias a slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRank:
    """The identity and a product of two thin matrices, and a bias, a slot."""

    rank: int

    def __post_init__(self) -> None:
        check_positive(self, rank=self.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One matrix and one bias for all slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasOnly:
    """A bias a slot."""


Affine = Full | LowRank | Shared | BiasOnly


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionSpec:
    """The injection of an activation into the AV; `affine` None puts one vector into every slot."""

    rule: InjectionRule
    num_slots: int  # markers in a row of the prompt
    scale: float | Literal["sqrt_d"]  # the L2 norm of what is injected
    centring: Centring
    affine: Affine | None

    def __post_init__(self) -> None:
        check_positive(self, num_slots=self.num_slots)
        if self.scale != "sqrt_d":
            check_positive(self, scale=self.scale)
