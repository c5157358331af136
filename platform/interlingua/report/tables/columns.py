"""The columns of the universal table: who predicts, measured how, in the order of reading.

The NLA first, then what it must beat, from weak to strong, then what it may not reach.
"""

from dataclasses import dataclass

from interlingua.report.measures import ALL_TRUE, PERPLEXITY
from interlingua.report.numbers import LESS, NLL, START
from interlingua.specs.evaluation import Predictor

OWN, LINEAR = "fve_centred_own", "fve_linear_own"


@dataclass(frozen=True, slots=True)
class Column:
    """One number of every host."""

    title: str
    predictor: str
    metric: str = OWN
    digits: int = 2


NLA = Column("sampled (T=1)", Predictor.SAMPLED)
MAIN = (
    NLA,
    Column("greedy", Predictor.GREEDY),
    Column("sampled, no rescaling", Predictor.SAMPLED, LINEAR),
    Column("sampled, within language", Predictor.SAMPLED, "fve_centred_category"),
    Column("sampled, over mean direction", Predictor.SAMPLED, "fve_mean_direction"),
)
# What an NLA must beat, from weak to strong: first what reads nothing of the row.
BLIND = (
    NLA,
    Column("shuffled explanations", Predictor.SHUFFLED_EXPLANATIONS),
    Column("shuffled, analytic", Predictor.SAMPLED, "shuffled_fve_centred_own"),
    Column("shuffled vectors", Predictor.SHUFFLED_VECTORS),
    Column("zero vector", Predictor.ZERO_VECTOR),
    Column("untrained AV", Predictor.UNTRAINED),
    Column("constant explanation", Predictor.CONSTANT_EXPLANATION),
    Column("constant vector", Predictor.CONSTANT_VECTOR),
)
SIMPLE = (
    NLA,
    Column("the text itself", Predictor.PASSAGE_TEXT),
    Column("same document", Predictor.SAME_DOCUMENT),
    Column("nearest explanation", Predictor.NEAREST_EXPLANATION),
    Column("language+topic", Predictor.GENERAL_FACTS),
    Column("bag of words", Predictor.BAG_OF_WORDS),
    Column("word pairs", Predictor.WORD_PAIRS),
    Column("network on words", Predictor.WORD_NETWORK),
)
REFERENCES = (
    NLA,
    Column("teacher's explanations", Predictor.TEACHER),
    Column("all facts", Predictor.ALL_FACTS),
    Column("encoder, no words", Predictor.ENCODER),
)
OTHERS = (
    Column("top-1, sampled", Predictor.SAMPLED, "retrieval_top1", 3),
    Column("top-1, greedy", Predictor.GREEDY, "retrieval_top1", 3),
    Column("unparseable, sampled", Predictor.SAMPLED, "tag_failure_share", 3),
    Column("distinct, sampled", Predictor.SAMPLED, "unique_share"),
    Column("in known wordings, sampled", Predictor.SAMPLED, "worded_share"),
    Column("distinct, greedy", Predictor.GREEDY, "unique_share"),
    Column("all that is named true, sampled", Predictor.SAMPLED, ALL_TRUE),
    Column("all that is named true, greedy", Predictor.GREEDY, ALL_TRUE),
)
LIKELIHOOD = (
    Column("NLL, own vector", Predictor.SAMPLED, NLL, 3),
    Column("shuffled vector", Predictor.SHUFFLED_VECTORS, NLL, 3),
    Column("zero vector", Predictor.ZERO_VECTOR, NLL, 3),
    Column("own - shuffled", f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}", NLL, 3),
    Column("own - zero", f"{Predictor.SAMPLED}{LESS}{Predictor.ZERO_VECTOR}", NLL, 3),
    Column("perplexity, own", Predictor.SAMPLED, PERPLEXITY),
    Column("perplexity, shuffled", Predictor.SHUFFLED_VECTORS, PERPLEXITY),
    Column("perplexity, zero", Predictor.ZERO_VECTOR, PERPLEXITY),
)
SUMMARY = (
    NLA,
    Column("gain of RL", f"{Predictor.SAMPLED}{LESS}{START}"),
    Column("constant", Predictor.CONSTANT_VECTOR),
    Column("bag of words", Predictor.BAG_OF_WORDS),
    Column("word pairs", Predictor.WORD_PAIRS),
    Column("network on words", Predictor.WORD_NETWORK),
    Column("teacher", Predictor.TEACHER),
)
# A constant scores about 2 R - 1 here, R = ||mean u(g)||: it must stand beside every number.
UNCENTRED = (
    Column("sampled (T=1)", Predictor.SAMPLED, "fve_uncentred", 3),
    Column("greedy", Predictor.GREEDY, "fve_uncentred", 3),
    Column("constant predictor", Predictor.CONSTANT_VECTOR, "fve_uncentred", 3),
)
