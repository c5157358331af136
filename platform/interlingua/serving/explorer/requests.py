"""What can be asked of the stored rows of an evaluation, strictly as in the own API."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from interlingua.serving.explorer.table import Order
from interlingua.serving.http.requests import LAST_ID, Strict, Text, Texts

USUAL_ROWS, MOST_ROWS = 50, 200  # of an answer
MOST_CHARS = 1000  # of a search
MOST_FACTS = 64

Search = Annotated[
    Text,
    Field(
        max_length=MOST_CHARS,
        description="Words that must all be there, in any case; a `quoted phrase` is one word.",
    ),
]
Offset = Annotated[int, Field(ge=0, le=LAST_ID)]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS)]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class RowsRequest(Strict):
    """Rows of an evaluation: those that fit, in an order, from one of them on."""

    model_config = _example(predictor="sampled", claims="any_false", order="worst", limit=20)

    host: Text | None = Field(None, description="Without it rows of all hosts.")
    predictor: Text | None = Field(None, description="Without it rows of all predictors.")
    search: Search | None = None
    field: Literal["explanation", "passage", "both"] = Field(
        "explanation", description="Where words are searched."
    )
    facts: Annotated[list[Text], Field(fail_fast=True, max_length=MOST_FACTS)] | None = Field(
        None,
        description="`kind=value`: of every kind that is named one of the values must hold.",
    )
    claims: Literal["all", "any_false", "all_true"] = Field(
        "all",
        description="Rows that name a fact which does not hold, or that name facts which all do.",
    )
    min_fve: float | None = Field(None, allow_inf_nan=False)
    max_fve: float | None = Field(None, allow_inf_nan=False)
    is_failed: bool | None = Field(None, description="Whether the tag was not closed.")
    is_same_passage: Text | None = Field(None, description="The id of a passage.")
    order: Order = Field(
        "worst",
        description="Worst and best by `fve_centred_own`; what is equal by passage, position and "
        "sample.",
    )
    offset: Offset = 0
    limit: Limit = USUAL_ROWS


class ClaimsRequest(Strict):
    """Texts whose claims are held against the facts of a passage."""

    model_config = _example(passage_id="0123456789abcdef", texts=["topic farm. sounds glad."])

    passage_id: Text
    position: int | None = Field(
        None,
        ge=0,
        le=LAST_ID,
        description="Of a row, where rows are sentences: then their facts, not the passage's.",
    )
    texts: Texts
