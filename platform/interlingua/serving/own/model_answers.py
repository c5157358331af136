"""Bundles as this API lists them: what OpenAI's clients read, and under one key what is ours."""

from dataclasses import asdict
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other below Python 3.12

from interlingua.serving.backend import Card, HostCard
from interlingua.serving.http.wire import encoded
from interlingua.serving.own.answers import Vectors
from interlingua.serving.own.numbers import num_others


class HostAnswer(TypedDict):
    """A host of a bundle."""

    tag: str
    width: int
    block_index: int
    num_blocks: int | None
    max_tokens: int
    reads: str
    reads_from: Annotated[
        int, Field(description="The first sentence or token that training ever read of a text.")
    ]
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
    is_centred: Annotated[
        bool, Field(description="Whether the AV is shown n(h) less the mean of its host.")
    ]
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


def model_answer(name: str, card: Card, *, has_means: bool = False) -> ModelAnswer:
    """A bundle, by the name that it has here."""
    ours = BundleAnswer(
        digest=card.digest,
        trunk=card.trunk,
        stage=card.stage,
        anchor=card.anchor,
        width=card.width,
        num_slots=card.num_slots,
        rule=card.rule,
        has_affine=card.has_affine,
        is_centred=card.is_centred,
        hosts=[_host_answer(host) for host in card.hosts.values()],
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


def _host_answer(host: HostCard) -> HostAnswer:
    return HostAnswer(
        tag=host.tag,
        width=host.width,
        block_index=host.block_index,
        num_blocks=host.num_blocks,
        max_tokens=host.max_tokens,
        reads=host.reads,
        reads_from=host.reads_from,
        dtype=host.dtype,
        is_here=host.is_here,
        denominator=host.variance,
        null_n=num_others(host),
    )
