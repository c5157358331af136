"""Requests and answers of Neuronpedia's NLA server; names and types are theirs.

`host` and `seed` are ours: a bundle knows several hosts where that server knows one source model.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from interlingua.serving.backend import Token
from interlingua.serving.http.requests import Text
from interlingua.serving.protocols.fields import (
    ChatMessage,
    Seed,
    Temperature,
    Vector,
    Vectors,
)

Host = Annotated[Text | None, Field(description="A host of the bundle; its anchor if left out.")]


class Schema(BaseModel):
    """A request or an answer."""

    model_config = ConfigDict(protected_namespaces=())


class PromptRequest(Schema):
    """A text, or messages for the host's chat template; with messages the text is not read."""

    text: Text | None = None
    messages: list[ChatMessage] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    enable_thinking: bool | None = None
    host: Host = None


class Drawing(Schema):
    """How descriptions are drawn; without a seed every request draws others."""

    temperature: Temperature = 0.7
    max_new_tokens: int = Field(default=200, gt=0)
    seed: Seed | None = None


class CompletionRequest(PromptRequest):
    """A prompt that the host itself goes on with."""

    completion_tokens: int = Field(default=16, ge=1, description="At most the server's limit.")
    temperature: Temperature = 0.7
    stream: bool = False
    seed: Seed | None = None


class ExplainRequest(PromptRequest, Drawing):
    """Tokens of a prompt to be described; all of them for no positions."""

    positions: list[int] | None = Field(
        default=None, description="Tokens from 0, or from the end where negative; none: all."
    )
    stream: bool = False
    reverse: bool = Field(default=True, description="The last token first.")


class DescribeRequest(Drawing):
    """Activations to be described."""

    activations: Vectors
    stream: bool = False
    host: Host = None


class CompareRequest(Drawing):
    """Two activations whose difference, the first less the second, is described."""

    activation_a: Vector
    activation_b: Vector
    host: Host = None


class ScoreRequest(Schema):
    """A text, and the activation that it is held against."""

    description: Text
    activation: Vector
    host: Host = None


class TokenInfo(Schema):
    """A token of a prompt."""

    token: str
    token_id: int
    position: int
    fragment_index: int = 0
    fragment_count: int = 1
    role: str | None = None
    section: str | None = None
    channel: str | None = None
    message_index: int | None = None


class TokenizeResponse(Schema):
    """A prompt in tokens, with what was generated behind it."""

    tokens: list[TokenInfo]
    prompt_length: int
    text: str


class TokenActivation(Schema):
    """A token and its activation."""

    token: str
    token_id: int
    position: int
    activation: list[float]
    l2_norm: float


class ExtractResponse(Schema):
    """The activations of every token."""

    layer_index: int
    tokens: list[TokenActivation]


class DescriptionResult(Schema):
    """A description, and how near its reconstruction is: mse is 2 (1 - cos), in [0, 4]."""

    description: str
    mse: float | None = None
    cosine_similarity: float | None = None


class ExplainResult(TokenInfo, DescriptionResult):
    """A token's description."""

    l2_norm: float
    generated: bool = False


class ExplainResponse(Schema):
    """Descriptions of tokens."""

    layer_index: int
    results: list[ExplainResult]


class DescribeResponse(Schema):
    """Descriptions, in the order of the activations."""

    results: list[DescriptionResult]


class ScoreResponse(Schema):
    """How near a text's reconstruction is to an activation."""

    mse: float
    cosine_similarity: float


class CompareResponse(DescriptionResult):
    """The description of a difference."""

    diff_norm: float


class HealthLimits(Schema):
    """What one request may ask for."""

    max_input_chars: int
    max_positions_per_request: int
    max_new_tokens: int
    max_describe_batch: int
    max_description_chars: int
    max_completion_tokens: int


class HealthResponse(Schema):
    """What is served; null is what this server does not know of the processes behind it."""

    status: Literal["ok"] = "ok"
    verbalizer_model: str
    d_model: int | None
    verbalizer_quantization: str | None = None
    verbalizer_kv_cache_dtype: str | None = None
    verbalizer_cuda_graph_max_bs: int | None = None
    verbalizer_torch_compile: bool | None = None
    verbalizer_device: str | None = None
    reconstructor_available: bool = True
    reconstructor_fp8: bool | None = None
    reconstructor_int4: bool | None = None
    reconstructor_device: str | None = None
    source_model: str | None
    extraction_layer: int | None
    source_truncated: bool | None
    source_fp8: bool | None = None
    source_device: str | None = None
    completion_available: bool
    num_cuda_devices: int = 0  # of this process, which computes nothing itself
    max_concurrent: int
    max_concurrent_explains: int
    source_max_concurrent: int
    reconstructor_max_concurrent: int
    max_describe_requests: int
    limits: HealthLimits


def token_info(token: Token) -> TokenInfo:
    """A token as this protocol has it."""
    return TokenInfo(
        token=token.text,
        token_id=token.id,
        position=token.position,
        fragment_index=token.fragment_index,
        fragment_count=token.fragment_count,
        role=token.role,
        section=token.section,
        channel=token.channel,
        message_index=token.message_index,
    )


def explain_result(token: Token, l2_norm: float, result: DescriptionResult) -> ExplainResult:
    """The description of a token."""
    values = token_info(token).model_dump() | result.model_dump() | {"l2_norm": l2_norm}
    return ExplainResult.model_validate(values)
