"""What this API answers: its types, and how what a bundle gives is put into them."""

from dataclasses import asdict
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

from interlingua.serving.backend import Card, Piece
from interlingua.serving.http.wire import SCHEMA, encoded
from interlingua.serving.own.numbers import Numbers, num_others

Vectors = Annotated[object, WithJsonSchema(SCHEMA)]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class HostAnswer(TypedDict):
    """A host of a bundle."""

    tag: str
    width: int
    block_index: int
    num_blocks: int | None
    max_tokens: int
    reads: str
    dtype: str
    is_here: Annotated[bool, Field(description="Whether texts can be read; vectors always can.")]
    denominator: Annotated[float, Field(description="The NMSE of the mean of `fit`.")]
    null_n: Annotated[int, Field(description="Activations that percentiles are of.")]


class BundleAnswer(TypedDict):
    """What is ours of a bundle."""

    digest: Annotated[str | None, Field(description="Of all of it: another is another bundle.")]
    trunk: str
    stage: str
    anchor: str
    width: int
    num_slots: int
    rule: str
    has_affine: bool
    hosts: list[HostAnswer]
    limits: dict[str, float]
    means: NotRequired[
        Annotated[
            dict[str, Vectors],
            Field(description="[1, D] of every host: the mean of n(h) on `fit`, where asked for."),
        ]
    ]


class ModelAnswer(TypedDict):
    """A bundle in the list of OpenAI's API; ours under `interlingua`."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    interlingua: BundleAnswer


class ModelsAnswer(TypedDict):
    """The bundles; the first is the default."""

    object: Literal["list"]
    data: list[ModelAnswer]


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


def model_answer(name: str, card: Card, *, has_means: bool = False) -> ModelAnswer:
    """A bundle, by the name that it has here."""
    hosts = [
        HostAnswer(
            tag=host.tag,
            width=host.width,
            block_index=host.block_index,
            num_blocks=host.num_blocks,
            max_tokens=host.max_tokens,
            reads=host.reads,
            dtype=host.dtype,
            is_here=host.is_here,
            denominator=host.variance,
            null_n=num_others(host),
        )
        for host in card.hosts.values()
    ]
    ours = BundleAnswer(
        digest=card.digest,
        trunk=card.trunk,
        stage=card.stage,
        anchor=card.anchor,
        width=card.width,
        num_slots=card.num_slots,
        rule=card.rule,
        has_affine=card.has_affine,
        hosts=hosts,
        limits=asdict(card.limits),
    )
    if has_means:
        ours["means"] = {
            host.tag: encoded(host.mean_D[None], "base64") for host in card.hosts.values()
        }
    return ModelAnswer(
        id=name,
        object="model",
        created=card.created_at,
        owned_by="interlingua",
        interlingua=ours,
    )


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
