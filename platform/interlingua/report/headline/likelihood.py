"""How likely the teacher's texts are to the AV, in words. Knows no table and no page."""

from interlingua.report.measures import GIVEN, PERPLEXITY
from interlingua.report.numbers import LESS, NLL, Numbers
from interlingua.report.tables.grid import Cell, number_cell
from interlingua.specs.evaluation import Predictor


def likelihood_line(numbers: Numbers, whole: str) -> tuple[str | Cell, ...]:
    """How likely the teacher's held-out explanations are to the AV, in one sentence."""
    own, shuffled, zero = (numbers.get(whole, one, NLL) for one in GIVEN)
    less = numbers.get(whole, f"{Predictor.SAMPLED}{LESS}{Predictor.SHUFFLED_VECTORS}", NLL)
    perplexity = numbers.get(whole, Predictor.SAMPLED, PERPLEXITY)
    if own is None or less is None:
        return (
            "The loss of the teacher's explanations was not measured: a pair behind a URL gives "
            "texts and vectors, not the likelihood of a text.",
        )
    return (
        "Loss of the teacher's held-out explanations given the own vector: ",
        number_cell(own, digits=3),
        " nats/token (perplexity ",
        number_cell(perplexity),
        "); another document's: ",
        number_cell(shuffled, digits=3),
        "; none: ",
        number_cell(zero, digits=3),
        "; own minus another's: ",
        number_cell(less, digits=3),
        "." if less.high < 0 else ", which is no proof that the AV reads its vector.",
    )
