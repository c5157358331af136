"""What this API answers: its types, and how what a bundle gives is put into them."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

from interlingua.serving.backend import Piece, Token
from interlingua.serving.http.wire import SCHEMA
from interlingua.serving.own.numbers import Numbers

Vectors = Annotated[object, WithJsonSchema(SCHEMA)]
ControlName = Literal[
    "constant", "zero_vector", "mean_vector", "shuffled", "nearest_explanation", "nearest_vector",
    "passage_text",
]  # fmt: skip


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class TokenAnswer(TypedDict):
    """A token as a host read it."""

    text: str
    id: int
    position: int
    start: Annotated[
        int,
        Field(
            description="Its first character in the text, in code points, not UTF-16; `end` is "
            "behind its last. Equal where a token has no characters; all fragments of a character "
            "have the same."
        ),
    ]
    end: int
    fragment_index: int
    fragment_count: int
    role: str | None
    section: str | None
    channel: str | None
    message_index: int | None


class TextTokens(TypedDict):
    """The tokens of one text."""

    index: int
    text: Annotated[
        str, Field(description="As it was tokenized: of a chat, what its template made.")
    ]
    tokens: list[TokenAnswer]


class TokensAnswer(TypedDict):
    """Texts as a host tokenizes them; of each it reads the first `max_tokens` tokens."""

    model: str
    host: str
    width: int
    max_tokens: int
    data: list[TextTokens]


class TextActivations(TypedDict):
    """The activations of one text."""

    index: int
    text: str
    tokens: list[TokenAnswer]
    positions: Annotated[
        list[int | None], Field(description="Of every row; null: the whole text as in training.")
    ]
    activations: Vectors


class ActivationsAnswer(TypedDict):
    """Raw activations of texts: the output of block `block_index`."""

    model: str
    host: str
    block_index: int
    width: int
    data: list[TextActivations]


class Explained(TypedDict):
    """One text of the AV; `explanation` is null where it did not close its tag."""

    sample: int
    explanation: str | None
    raw_text: str
    log_prob: float | None
    num_tokens: Annotated[int | None, Field(description="Drawn; null where it is not known.")]
    share_nearer: Annotated[
        float | None,
        Field(description="Share of activations of `fit` that are nearer to their mean."),
    ]
    is_unlike: Annotated[
        bool, Field(description="Further out than 99% of `fit`: the text is then fluent, and free.")
    ]


class Origin(TypedDict):
    """Of which text a row is, and of which of its tokens; nulls where vectors were sent."""

    index: int
    text_index: int | None
    position: int | None
    token: str | None


class ExplainedRow(Origin):
    """The explanations of one activation."""

    explanations: list[Explained]


class VerbalizeAnswer(TypedDict):
    """Explanations of activations."""

    model: str
    host: str
    data: list[ExplainedRow]


class RoundTripped(Explained, Numbers):
    """A text and what the AR makes of it; a text without an explanation has the NMSE 2."""

    rebuilt: NotRequired[Annotated[Vectors, Field(description="[1, D], in the units of n(h).")]]


class RoundtripRow(Origin):
    """The round trips of one activation."""

    explanations: list[RoundTripped]


class RoundtripAnswer(TypedDict):
    """Activations to texts and back."""

    model: str
    host: str
    data: list[RoundtripRow]


class Control(Numbers):
    """What a system that knows less predicts of an activation, and its numbers."""

    name: ControlName
    description: str
    explanation: Annotated[
        str | None,
        Field(description="Null where it predicts without a text, or its text was not closed."),
    ]


class ControlledRow(Origin):
    """The systems beside an NLA, of one activation."""

    controls: list[Control]


class ControlsAnswer(TypedDict):
    """Activations as systems that know less predict them; what a bundle cannot give is left out."""

    model: str
    host: str
    data: list[ControlledRow]


@with_config(_example(model="demo", host="toy-a", width=4, vectors=[[0.5, -1.0, 0.25, 2.0]]))
class ReconstructAnswer(TypedDict):
    """A vector a text: at the norm sqrt(D) of a host, or shared."""

    model: str
    host: str | None
    width: int
    vectors: Vectors


class ScoredRow(Numbers):
    """The numbers of one explanation."""

    index: int


class ScoreAnswer(TypedDict):
    """Numbers of explanations."""

    model: str
    host: str
    data: list[ScoredRow]


class ErrorContent(TypedDict):
    """What went wrong: the kind, a sentence, the field of the request, and what would help."""

    type: str
    message: str
    field: str | None
    remedy: NotRequired[str]


@with_config(_example(error={"type": "refused", "message": "n is 9 at ...", "field": "n"}))
class ErrorAnswer(TypedDict):
    """The one shape of errors."""

    error: ErrorContent


def token_answers(tokens: Sequence[Token]) -> list[TokenAnswer]:
    """The tokens of a text."""
    return [cast(TokenAnswer, asdict(token)) for token in tokens]


def explained(piece: Piece) -> Explained:
    """A text that ended."""
    done = piece.done
    assert done is not None
    return Explained(
        sample=piece.sample,
        explanation=done.explanation,
        raw_text=done.raw_text,
        log_prob=_finite(done.log_prob),
        num_tokens=done.num_tokens,
        share_nearer=_finite(done.share_nearer),
        is_unlike=done.is_unlike,
    )


def frame_content(piece: Piece) -> dict[str, Any]:
    """A frame of a stream."""
    if piece.done is None:
        return {"index": piece.row, "sample": piece.sample, "text": piece.text, "done": False}
    return {"index": piece.row, "done": True, **explained(piece)}


def _finite(number: float | None) -> float | None:
    """A number that JSON has, or None."""
    return number if number is not None and isfinite(number) else None
