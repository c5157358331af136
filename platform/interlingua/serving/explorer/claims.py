"""Facts that texts name, held against those that are true of a passage. Knows no HTTP."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from interlingua.core.spans import sentences
from interlingua.serving.backend import NotAvailable
from interlingua.serving.explorer.answers import Claim, ClaimsOfText, Clause
from interlingua.store.artifact import Artifact, input_folder
from interlingua.store.record import CorruptRecord, read_record

if TYPE_CHECKING:
    from interlingua.sources.source import Truth

PASSAGES = "passages"  # the input of an evaluation
NO_TRUTH = (
    "nothing is known to be true of these passages: their corpus was not made from facts, so that "
    "what a text claims cannot be checked"
)


def truth_behind(evaluation: Artifact) -> "Truth":
    """What is known of the passages of an evaluation, by the record of what made them."""
    from interlingua.sources.source import truth_of

    path = input_folder(evaluation, PASSAGES)
    try:
        record = read_record(path)
        truth = None if record is None else truth_of(Artifact(path, record))
    except (CorruptRecord, OSError, ImportError, ValueError) as error:
        raise NotAvailable(
            f"the corpus of these passages cannot be opened here: {error}"
        ) from error
    if record is None:
        raise NotAvailable(f"{path} is not here, which says what made these passages")
    if truth is None:
        raise NotAvailable(NO_TRUTH)
    return truth


def claims_of(text: str, truth: "Truth", facts: Mapping[str, str]) -> ClaimsOfText:
    """The facts that a text names, and the sentences that name them; spans are of code points."""
    asserted = truth.asserted(text).facts
    clauses = [
        Clause(start=start, end=end, **_claim(fact, facts))
        for start, end in sentences(text)
        for fact in truth.asserted(text[start:end]).facts
        # A sentence alone may read otherwise than in its text: then it is not marked.
        if fact in asserted
    ]
    return ClaimsOfText(claims=[_claim(fact, facts) for fact in asserted], clauses=clauses)


def _claim(fact: tuple[str, str], facts: Mapping[str, str]) -> Claim:
    kind, value = fact
    return Claim(fact=f"{kind}={value}", is_true=facts.get(kind) == value)
