"""The splits of a corpus and their sizes. Knows neither texts nor files."""

from dataclasses import dataclass, fields
from enum import StrEnum

from interlingua.specs.checks import check_share


class Split(StrEnum):
    """The use that a passage is for; every passage has exactly one."""

    PRETRAIN = "pretrain"  # tokenizers and toy hosts
    AV_SFT = "av_sft"
    AR_SFT = "ar_sft"
    RL = "rl"
    FIT = "fit"  # encoders, decoders and the means about which they are fitted
    DEV = "dev"  # watched during training
    TEST = "test"  # for the evaluation


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
        # Binary shares do not sum to 1 exactly. Another sum would be rescaled: shares nobody chose.
        total = sum(shares.values())
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares of SplitSpec sum to {total}; they must sum to 1")

    def shares(self) -> dict[Split, float]:
        """The share of every split, in the order of the fields, which decides who lies where."""
        return {Split(f.name): getattr(self, f.name) for f in fields(self) if f.name != "seed"}
