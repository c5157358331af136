"""How the AV is made to speak, and the AR to listen. Knows no model and no row."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_one_of, check_positive
from interlingua.specs.evaluation import Arm
from interlingua.specs.injection import Centring
from interlingua.specs.splits import Split
from interlingua.specs.training import SamplingSpec

AV_ARMS = (Arm.SAMPLED, Arm.GREEDY, Arm.SHUFFLED_VECTORS, Arm.ZERO_VECTOR, Arm.UNTRAINED)
TEXT_ARMS = (Arm.GOLD, Arm.GENERAL_FACTS, Arm.ALL_FACTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One way in which the AV speaks of the rows of a split: of all, or of a keyed choice.

    The arm says which vectors it is given, and whether it is the trained one.
    """

    arm: Arm
    split: Split
    sampling: SamplingSpec
    rows: int | None

    def __post_init__(self) -> None:
        check_one_of(self, AV_ARMS, arm=self.arm)
        if self.rows is not None:
            check_positive(self, rows=self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbalizeSpec:
    """What the pair makes of one host's rows, turn by turn; `seed` chooses and shuffles them."""

    host_tag: str
    block_index: int
    anchor: str
    centring: Centring
    turns: tuple[Turn, ...]
    seed: int

    def __post_init__(self) -> None:
        check_not_negative(self, block_index=self.block_index, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructSpec:
    """What the AR makes of texts that it is told: the teacher's, or lists of true facts."""

    split: Split
    arms: tuple[Arm, ...]
    max_words: int  # of a list of facts

    def __post_init__(self) -> None:
        check_positive(self, max_words=self.max_words)
        for arm in self.arms:
            check_one_of(self, TEXT_ARMS, arms=arm)
