"""Specs of an evaluation: its predictors, its rows and its gates. Knows no model and no metric."""

from dataclasses import dataclass
from enum import StrEnum

from interlingua.specs.checks import check_not_negative, check_one_of, check_positive
from interlingua.specs.injection import Centring
from interlingua.specs.maps import RidgeSpec
from interlingua.specs.splits import Split


class Predictor(StrEnum):
    """A way to predict an activation; all but the first two are there to compare with."""

    SAMPLED = "sampled"  # AV at T=1, AR, decoder
    GREEDY = "greedy"
    TEACHER = "teacher"  # the teacher's explanation, AR, decoder
    GENERAL_FACTS = "general_facts"  # the true language and topic alone, AR, decoder
    ALL_FACTS = "all_facts"  # every true fact, AR, decoder
    ENCODER = "encoder"  # into the shared space and back, no words: ridge
    BAG_OF_WORDS = "bag_of_words"  # ridge from the words of the T=1 explanation
    WORD_NETWORK = "word_network"  # small network from the same words
    WORD_PAIRS = "word_pairs"  # ridge from the same words and their neighbouring pairs
    SHUFFLED_EXPLANATIONS = "shuffled_explanations"  # another passage's T=1 explanation
    SHUFFLED_VECTORS = "shuffled_vectors"  # the AV is given another passage's vector
    ZERO_VECTOR = "zero_vector"  # the AV is given none
    UNTRAINED = "untrained"  # the AV before its training
    CONSTANT_EXPLANATION = "constant_explanation"  # of those of `fit`, the one that suits it best
    CONSTANT_VECTOR = "constant_vector"  # the mean of `fit`
    NEAREST_EXPLANATION = "nearest_explanation"  # the teacher's, of the nearest row of `av_sft`
    SAME_DOCUMENT = "same_document"  # the T=1 explanation of another row of the document
    PASSAGE_TEXT = "passage_text"  # the AR is given the text itself, as many of its last words


# How people read them, in tables, plots and pages.
PLAIN = {
    Predictor.SAMPLED: "sampled (T=1)",
    Predictor.GREEDY: "greedy",
    Predictor.TEACHER: "teacher's explanations",
    Predictor.GENERAL_FACTS: "language and topic only",
    Predictor.ALL_FACTS: "all true facts",
    Predictor.ENCODER: "encoder, no words",
    Predictor.BAG_OF_WORDS: "bag of words",
    Predictor.WORD_NETWORK: "network on words",
    Predictor.WORD_PAIRS: "word pairs",
    Predictor.SHUFFLED_EXPLANATIONS: "shuffled explanations",
    Predictor.SHUFFLED_VECTORS: "shuffled vectors",
    Predictor.ZERO_VECTOR: "zero vector",
    Predictor.UNTRAINED: "untrained AV",
    Predictor.CONSTANT_EXPLANATION: "constant explanation",
    Predictor.CONSTANT_VECTOR: "constant vector",
    Predictor.NEAREST_EXPLANATION: "nearest row's explanation",
    Predictor.SAME_DOCUMENT: "another row of the document",
    Predictor.PASSAGE_TEXT: "the text itself",
}

# Not of every row by design: of learning hosts alone, of documents with several rows.
PARTIAL = (Predictor.NEAREST_EXPLANATION, Predictor.SAME_DOCUMENT)


class GateName(StrEnum):
    """The gates that an evaluation must pass for its numbers to count (docs/numbers.md, Gates)."""

    LEAKAGE = "leakage"
    MISSING_ROWS = "missing_rows"
    NON_FINITE = "non_finite"
    NULL_RANGE = "null_range"
    TAG_FAILURES = "tag_failures"
    COLLAPSED_TEXTS = "collapsed_texts"
    COLLAPSED_GREEDY = "collapsed_greedy"
    UNREADABLE_WORDING = "unreadable_wording"
    IGNORES_VECTOR = "ignores_vector"
    OUTLIER_HOST = "outlier_host"
    DECODER_FIT = "decoder_fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluating:
    """The evaluation of the final NLA, on this many activations of each host in one split.

    Gates that are accepted by name are reported as failed, but do not fail the run.
    """

    split: Split
    rows: int  # of every host
    samples: int  # at T = 1, of every row
    shown_rows: int  # on the page, of every host and predictor
    accepts: tuple[GateName, ...]

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_positive(self, rows=self.rows, samples=self.samples, shown_rows=self.shown_rows)
        for name in self.accepts:
            check_one_of(self, GateName, accepts=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """The gates for the scored rows of all hosts, and the seed that resamples their passages."""

    split: Split
    host_tags: tuple[str, ...]
    accepts: tuple[GateName, ...]
    seed: int

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_not_negative(self, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSpec:
    """The scoring of the predictors of one host; `ridge` is for the maps that only scoring fits."""

    host_tag: str
    role: str  # of the host: anchor, trained or held out
    block_index: int
    anchor: str
    centring: Centring
    split: Split
    ridge: RidgeSpec
    most_words: int  # or pairs that a reader of words counts
    seed: int

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_positive(self, most_words=self.most_words)
        check_not_negative(self, block_index=self.block_index, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelihoodSpec:
    """The rows of one host under whose vectors the teacher's explanations are scored by the AV.

    `rows` and `seed` choose the rows as a turn of the AV does, and `seed` pairs them with others.
    """

    host_tag: str
    block_index: int
    anchor: str
    centring: Centring
    split: Split
    rows: int | None
    seed: int

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_not_negative(self, block_index=self.block_index, seed=self.seed)
        if self.rows is not None:
            check_positive(self, rows=self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsSpec:
    """The hosts on which published methods are compared, and the choice of their ridges."""

    host_tags: tuple[str, ...]
    anchor: str
    centring: Centring
    split: Split
    ridge: RidgeSpec
    seed: int

    def __post_init__(self) -> None:
        check_one_of(self, (Split.DEV, Split.TEST), split=self.split)
        check_not_negative(self, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    """The title of a report, and the most rows that it shows of a host and predictor."""

    recipe: str
    shown_rows: int

    def __post_init__(self) -> None:
        check_positive(self, shown_rows=self.shown_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleSpec:
    """The oracle of one host: a ridge from true facts to the activations of one block."""

    seed: int
    block_index: int

    def __post_init__(self) -> None:
        check_not_negative(self, seed=self.seed, block_index=self.block_index)
