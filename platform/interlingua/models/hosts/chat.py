"""Messages as one text, by a Jinja template in the sandbox of transformers. Knows no tokenizer."""

from collections.abc import Mapping, Sequence

from transformers.utils.chat_template_utils import render_jinja_template


class TemplateRefuses(ValueError):
    """A template is no Jinja, or raises about some messages."""


def rendered_messages(
    template: str,
    messages: Sequence[Mapping[str, str]],
    arguments: Mapping[str, bool | int | str],
    *,
    add_generation_prompt: bool,
) -> str:
    """The text of the messages, as a tokenizer with this template renders them.

    A tokenizer also hands its special tokens to the template: here they are among the arguments.
    """
    try:
        (text,), _ = render_jinja_template(
            [[dict(message) for message in messages]],
            chat_template=template,
            add_generation_prompt=add_generation_prompt,
            **arguments,
        )
    except Exception as error:  # a template raises whatever it likes
        raise TemplateRefuses(f"{type(error).__name__}: {error}") from error
    return str(text)
