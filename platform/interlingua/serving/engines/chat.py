"""Prompts as one text: messages through a host's chat template, and whose every character is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interlingua.core.spans import Span
from interlingua.serving.backend import Message, Prompt, Refused

SCAFFOLD, HEADER, CONTENT, FOOTER = "scaffold", "header", "content", "footer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Characters of a rendered chat that belong to a message, or to none."""

    span: Span
    section: str
    message_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt as the host reads it. Without messages it has no parts."""

    text: str
    parts: Sequence[Part] = ()
    messages: Sequence[Message] = ()

    @property
    def is_chat(self) -> bool:
        """Whether a template made it, which puts special tokens where they belong."""
        return bool(self.messages)


def rendered(host: str, tokenizer: Any, prompt: Prompt) -> Rendered:
    """The text of a prompt; Refused where the host has no template, or it fails."""
    if prompt.messages is None:
        return Rendered(text=prompt.text or "")
    if tokenizer.chat_template is None:
        raise Refused("messages", f"{host} has no chat template; send text")
    last = {
        "add_generation_prompt": prompt.add_generation_prompt and not prompt.continue_final_message,
        "continue_final_message": prompt.continue_final_message,
    }
    text = _applied(host, tokenizer, prompt, prompt.messages, last)
    # Rendered message by message: what one more message adds is its own.
    ends = [0]
    for count in range(1, len(prompt.messages) + 1):
        before = _applied(host, tokenizer, prompt, prompt.messages[:count], {})
        ends.append(len(before) if text.startswith(before) else ends[-1])
    if prompt.continue_final_message:
        ends[-1] = len(text)
    return Rendered(text=text, parts=_parts(text, ends, prompt.messages), messages=prompt.messages)


def _applied(
    host: str,
    tokenizer: Any,
    prompt: Prompt,
    messages: Sequence[Message],
    options: dict[str, bool],
) -> str:
    turns = [{"role": one.role, "content": one.content} for one in messages]
    if prompt.enable_thinking is not None:
        options = {**options, "enable_thinking": prompt.enable_thinking}
    try:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, **options)
    except Exception as error:  # a template raises whatever it likes
        raise Refused("messages", f"the chat template of {host} refuses them: {error}") from error
    return text


def _parts(text: str, ends: Sequence[int], messages: Sequence[Message]) -> list[Part]:
    parts = []
    for index, message in enumerate(messages):
        start, end = ends[index], ends[index + 1]
        at = text.find(message.content, start, end) if message.content else -1
        if at < 0:  # a template that changes what was written
            parts.append(Part(span=(start, end), section=CONTENT, message_index=index))
            continue
        behind = at + len(message.content)
        parts += [
            Part(span=(start, at), section=HEADER, message_index=index),
            Part(span=(at, behind), section=CONTENT, message_index=index),
            Part(span=(behind, end), section=FOOTER, message_index=index),
        ]
    return [*parts, Part(span=(ends[-1], len(text)), section=SCAFFOLD)]
