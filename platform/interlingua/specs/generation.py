"""Specs of the pair in use: texts of the AV, vectors of the AR. Knows no model and no row."""

from dataclasses import dataclass

from interlingua.specs.checks import check_not_negative, check_one_of, check_positive
from interlingua.specs.evaluation import Predictor
from interlingua.specs.injection import Centring
from interlingua.specs.splits import Split
from interlingua.specs.training import SamplingSpec

AV_PREDICTORS = (
    Predictor.SAMPLED,
    Predictor.GREEDY,
    Predictor.SHUFFLED_VECTORS,
    Predictor.ZERO_VECTOR,
    Predictor.UNTRAINED,
)
TEXT_PREDICTORS = (
    Predictor.TEACHER,
    Predictor.GENERAL_FACTS,
    Predictor.ALL_FACTS,
    Predictor.PASSAGE_TEXT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One pass of the AV over the rows of a split, as one predictor.

    The predictor decides which vectors the AV is given, and whether it is the trained AV. `rows` is
    the size of a choice keyed by passage; None takes all.
    """

    predictor: Predictor
    split: Split
    sampling: SamplingSpec
    rows: int | None

    def __post_init__(self) -> None:
        check_one_of(self, AV_PREDICTORS, predictor=self.predictor)
        if self.rows is not None:
            check_positive(self, rows=self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbalizeSpec:
    """The texts and vectors of one host's rows, turn by turn; `seed` chooses and shuffles rows."""

    host_tag: str
    block_index: int
    anchor: str
    centring: Centring
    turns: tuple[Turn, ...]
    seed: int

    def __post_init__(self) -> None:
        check_not_negative(self, block_index=self.block_index, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedSpec:
    """A pair behind a URL, by the digest of its bundle; the placement says where it is."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestSpec:
    """The rows of one host that are explained by the teacher's text about their nearest row.

    `rows` and `seed` choose the rows as a turn of the AV does; None takes all.
    """

    host_tag: str
    block_index: int
    split: Split
    rows: int | None
    seed: int

    def __post_init__(self) -> None:
        check_not_negative(self, block_index=self.block_index, seed=self.seed)
        if self.rows is not None:
            check_positive(self, rows=self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructSpec:
    """The AR's vectors of texts that are not the AV's: the teacher's, lists of true facts, ..."""

    split: Split
    predictors: tuple[Predictor, ...]
    max_words: int  # of a list of facts

    def __post_init__(self) -> None:
        check_positive(self, max_words=self.max_words)
        for predictor in self.predictors:
            check_one_of(self, TEXT_PREDICTORS, predictors=predictor)
