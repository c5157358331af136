"""The splits of a corpus and how large each is. Knows neither texts nor files."""

from dataclasses import dataclass, fields
from enum import StrEnum

from interlingua.specs.checks import check_share


class Split(StrEnum):
    """What a passage may be used for; every passage has exactly one."""

    PRETRAIN = "pretrain"
    AV_SFT = "av_sft"
    AR_SFT = "ar_sft"
    RL = "rl"
    FIT = "fit"
    DEV = "dev"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSpec:
    """Shares of the splits; they sum to one."""

    seed: int
    pretrain: float
    av_sft: float
    ar_sft: float
    rl: float
    fit: float
    dev: float
    test: float

    def __post_init__(self) -> None:
        shares = self.shares()
        check_share(self, **{split.value: share for split, share in shares.items()})
        total = sum(shares.values())
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares of SplitSpec sum to {total}; they must sum to 1")

    def shares(self) -> dict[Split, float]:
        """The share of every split, in one fixed order."""
        return {Split(f.name): getattr(self, f.name) for f in fields(self) if f.name != "seed"}
