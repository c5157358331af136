"""Types of fields that several protocols have. Knows no protocol."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from interlingua.serving.backend import Limits, Message, Prompt, Refused
from interlingua.serving.http.requests import HOTTEST, LAST_SEED, Text
from interlingua.serving.protocols.shared import check_most

NUMBERS = {"type": "array", "items": {"type": "number"}}
# serving/http/wire.py proves what stands in them, and names the field, its width and its host.
Vector = Annotated[list[Any], WithJsonSchema(NUMBERS)]
Vectors = Annotated[list[Any], WithJsonSchema({"type": "array", "items": NUMBERS, "minItems": 1})]
Temperature = Annotated[float, Field(ge=0, le=HOTTEST, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=LAST_SEED)]


class ChatMessage(BaseModel):
    """One turn of a chat."""

    role: Text
    content: Text = ""
    channel: Text | None = None


def prompt_of(
    text: str | None,
    messages: Sequence[ChatMessage] | None,
    limits: Limits,
    *,
    add_generation_prompt: bool = True,
    continue_final_message: bool = False,
    enable_thinking: bool | None = None,
) -> Prompt:
    """A prompt of the messages, where there are any; else of the text."""
    if messages:
        num_chars = sum(len(message.content) for message in messages)
        check_most("messages", num_chars, limits.max_input_chars, "characters")
        turns = [
            Message(role=one.role, content=one.content, channel=one.channel) for one in messages
        ]
        return Prompt(
            messages=tuple(turns),
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            enable_thinking=enable_thinking,
        )
    if not text:
        raise Refused("text", "give text, or messages")
    check_most("text", len(text), limits.max_input_chars, "characters")
    return Prompt(text=text)
