"""What is answered of stored rows, as types. What a row lacks is null."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12


class NamedHost(TypedDict):
    """A host and its part in the evaluation: anchor, trained or held out."""

    tag: str
    role: str


class NamedPredictor(TypedDict):
    """A predictor and what it is, in words."""

    name: str
    title: str


class GateAnswer(TypedDict):
    """A gate of an evaluation; one that failed may have been accepted beforehand."""

    name: str
    is_passed: bool
    is_accepted: bool
    words: str


class EvaluationAnswer(TypedDict):
    """What an evaluation is of, and by what its rows can be found."""

    name: str
    fingerprint: str
    split: str
    num_rows: int
    num_passages: int
    has_facts: bool
    bundle: Annotated[str | None, Field(description="The bundle of this server that it is of.")]
    hosts: list[NamedHost]
    predictors: list[NamedPredictor]
    gates: list[GateAnswer]
    kinds: Annotated[
        dict[str, list[str]], Field(description="Of every kind of fact, the values that hold.")
    ]
    orders: list[str]


class RefusedEvaluation(TypedDict):
    """An evaluation that cannot be opened, and why."""

    name: str
    message: str


class EvaluationsAnswer(TypedDict):
    """The evaluations that can be searched, and those that are damaged."""

    data: list[EvaluationAnswer]
    refused: list[RefusedEvaluation]


class Claim(TypedDict):
    """A fact that a text names, as `kind=value`."""

    fact: str
    is_true: bool


class Clause(Claim):
    """The same with the sentence that names it: characters as code points, `end` not included."""

    start: int
    end: int


class ClaimsOfText(TypedDict):
    """The facts that one text names, each once, and every sentence that names one."""

    claims: list[Claim]
    clauses: list[Clause]


class ClaimsAnswer(TypedDict):
    """The claims of every text."""

    data: list[ClaimsOfText]


class RowAnswer(TypedDict):
    """One prediction of one activation by one predictor."""

    row: Annotated[int, Field(description="Its place in the evaluation, which never changes.")]
    host: str
    role: str
    predictor: str
    passage_id: str
    document_id: str
    position: Annotated[
        int | None,
        Field(
            description="Of a token; with `span_end`, of the sentence's first character; null: the "
            "whole passage."
        ),
    ]
    span_end: Annotated[
        int | None, Field(description="The character behind the sentence, where one was read.")
    ]
    sample: int
    text: Annotated[str, Field(description="The passage.")]
    explanation: Annotated[
        str | None, Field(description="Null: the tag was not closed, or there is no text.")
    ]
    raw_text: Annotated[str | None, Field(description="As it was written, with its tags.")]
    fve_centred_own: Annotated[
        float | None,
        Field(
            description="`1 - nmse / V`, V the mean own variance of all rows of the host and "
            "predictor, so that the mean over those rows is their `fve_centred_own`."
        ),
    ]
    nmse: float | None
    cosine: float | None
    rank: Annotated[int | None, Field(description="Of the own activation among `num_rivals`.")]
    num_rivals: int | None
    is_failed: bool
    num_tokens: int | None
    log_prob: float | None
    claims: Annotated[list[Claim], Field(description="The facts that the explanation names.")]
    facts: Annotated[list[str], Field(description="The facts that hold, each `kind=value`.")]


class WholeRow(RowAnswer):
    """A row with what the other predictors made of the same activation."""

    beside: list[RowAnswer]


class SummaryAnswer(TypedDict):
    """What all rows that fit are together."""

    num_rows: int
    num_passages: int
    mean_fve_centred_own: Annotated[
        float | None,
        Field(
            description="Of the rows' `fve_centred_own`: of all rows of a host and predictor their "
            "ratio of sums, of some of them still with the variance of all."
        ),
    ]
    failed_share: float | None
    false_share: Annotated[
        float | None, Field(description="Of the facts that are named, those that do not hold.")
    ]


class RowsAnswer(TypedDict):
    """A page of the rows that fit."""

    total: int
    offset: int
    summary: SummaryAnswer
    rows: list[RowAnswer]


class PassageAnswer(TypedDict):
    """A passage and what holds of it."""

    passage_id: str
    text: str
    facts: list[str]


class PassagesAnswer(TypedDict):
    """A page of the passages that fit."""

    total: int
    offset: int
    passages: list[PassageAnswer]
