"""What can be asked of this API, whatever the bundle; `limits.py` has what one of them allows.

Values are taken as they are: "3" and true are no numbers, and a field that is not known is refused.
"""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from interlingua.models.bundle.system import Sampling
from interlingua.serving.http.wire import SCHEMA, Form

DEFAULT = Sampling()
MOST_FIELDS = 50
HOTTEST = 5.0
LAST_SEED = 2**53 - 1  # up to there every JSON parser has whole numbers
LAST_ID = 2**31 - 1  # of tokens and positions
POSITIONS = {
    "anyOf": [
        {"type": "null"},
        {"const": "all", "description": "Every token."},
        {"type": "array", "items": {"type": "integer"}, "description": "Tokens of the one text."},
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}},
            "description": "Tokens of each of `texts`.",
        },
    ],
    "description": (
        "Tokens, from 0, or from the end where negative; without them a text is read as a whole, "
        "as in training."
    ),
}


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError(
            "surrogate", "half a surrogate pair, which is no character: decode the text anew"
        ) from None
    return text


def _few_fields(content: object) -> object:
    # Every field that is not known would be an error of its own: millions of them, of one body.
    if isinstance(content, dict) and len(content) > MOST_FIELDS:
        raise PydanticCustomError("too_many_fields", "there are more fields than any request has")
    return content


Text = Annotated[str, AfterValidator(_text)]
Vectors = Annotated[object, WithJsonSchema(SCHEMA)]
Positions = Annotated[object, WithJsonSchema(POSITIONS)]
# The first wrong item is named, and no other: a body may hold millions.
Texts = Annotated[list[Text], Field(fail_fast=True)]
Ids = Annotated[list[Annotated[int, Field(ge=0, le=LAST_ID)]], Field(fail_fast=True)]
VectorForm = Annotated[Form, Field(description="How vectors are answered.")]
Seed = Annotated[int, Field(ge=0, le=LAST_SEED)]
MaxNewTokens = Annotated[
    int | None, Field(ge=1, description=f"{DEFAULT.max_new_tokens} where nothing is said.")
]
Stream = Annotated[bool, Field(description="Server-sent events, a frame a token.")]


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class Strict(BaseModel):
    """A body whose values are taken as they are, and whose fields are all known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    _few = model_validator(mode="before")(_few_fields)


class Request(Strict):
    """What every request may have."""

    model: Text | None = Field(None, description="A bundle; without it the first one.")


class ChatMessage(Strict):
    """One message of a chat."""

    role: Text
    content: Text
    channel: Text | None = None


class Tokenizes(Request):
    """A request about texts that a host tokenizes; one of `text`, `texts` and `messages`."""

    host: Text | None = Field(None, description="Needed where the bundle knows several hosts.")
    text: Text | None = None
    texts: Texts | None = None
    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] | None = Field(
        None, description="Made a text by the host's chat template."
    )
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    enable_thinking: bool | None = None


class Reads(Tokenizes):
    """A request about texts that a host reads, at some of their tokens or as a whole."""

    positions: Positions = None


class Explains(Reads):
    """A request about vectors, or about texts that a host reads."""

    activations: Vectors | None = Field(
        None, description="Raw activations of the host, instead of texts."
    )
    seed: Seed = DEFAULT.seed
    max_new_tokens: MaxNewTokens = None


class Verbalizes(Explains):
    """The same, and how its texts are drawn."""

    n: int = Field(DEFAULT.n, ge=1, description="Texts of every activation.")
    temperature: float = Field(
        DEFAULT.temperature, ge=0, le=HOTTEST, allow_inf_nan=False, description="0 is greedy."
    )
    banned: Ids = Field([], description="Ids of tokens that are not drawn.")
    prefix: Text = Field(DEFAULT.prefix, description="What every text begins with.")
    keys: Texts = Field(
        [],
        description="One for each activation: with the seed it fixes the draws.",
    )


class TokensRequest(Tokenizes):
    """The tokens of texts."""

    model_config = _example(host="toy-pythia-410m", text="the farmer sings")


class ActivationsRequest(Reads):
    """Activations of texts."""

    model_config = _example(host="toy-pythia-410m", text="the farmer sings", positions=[-1])

    vector_form: VectorForm = "list"


class VerbalizeRequest(Verbalizes):
    """Explanations of activations."""

    model_config = _example(
        host="toy-pythia-410m", text="the farmer sings", positions=[-1], n=2, temperature=0.7
    )

    zero_vectors: int | None = Field(
        None,
        ge=1,
        le=LAST_ID,
        description="Instead of activations: so many texts that are shown zeros, as a control.",
    )
    stream: Stream = False


class ReconstructRequest(Request):
    """The vectors that texts stand for."""

    model_config = _example(texts=["topic farm. sounds glad."], host="toy-pythia-410m")

    texts: Texts
    host: Text | None = Field(None, description="Whose vectors; without it shared ones.")
    vector_form: VectorForm = "list"


class RoundtripRequest(Verbalizes):
    """Activations to texts and back."""

    model_config = _example(host="toy-pythia-410m", text="the farmer sings")

    stream: Stream = False
    rebuilt: bool = Field(False, description="Whether the rebuilt vectors are answered, too.")
    vector_form: VectorForm = "list"


class ControlsRequest(Explains):
    """What systems that know less make of activations; their texts are greedy."""

    model_config = _example(host="toy-pythia-410m", text="the farmer sings", positions=[-1])

    passage: Text | None = Field(
        None, description="Of activations that are sent: the text that they are of, up to there."
    )


class ScoreRequest(Request):
    """How well explanations stand for activations, one for each."""

    model_config = _example(
        host="toy-pythia-410m",
        explanations=["topic farm. sounds glad."],
        activations={"base64": "AACAPwAAAEAAAEBAAACAQA==", "shape": [1, 4]},
    )

    host: Text | None = Field(None, description="Needed where the bundle knows several hosts.")
    explanations: Texts
    activations: Vectors
