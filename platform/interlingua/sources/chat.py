"""The text of a record: its own, or its messages through the template of the recipe."""

import re

from interlingua.sources.source import Record
from interlingua.specs.corpora import ChatTemplate

# A tokenizer hands these to its template; an undefined one would be rendered as nothing.
_SPECIAL_TOKEN = re.compile(r"\b(?:bos|eos|pad|unk|sep|cls|mask)_token\b")


def check_arguments(chat: ChatTemplate) -> None:
    """Raise where a template uses a special token that its arguments do not say."""
    given = dict(chat.arguments)
    for name in _SPECIAL_TOKEN.findall(chat.template):
        if name not in given:
            raise ValueError(
                f"passages.chat.template uses {name}, and passages.chat.arguments lack it; add "
                f"({name!r}, the token's text), which is in the tokenizer_config.json of its model"
            )


def text_of(record: Record, chat: ChatTemplate | None) -> str:
    """The text that becomes passages; raises ValueError where it names no way to one."""
    if chat is None:
        if record.messages:
            raise ValueError(
                f"{record.where} has messages, and no template says how they become a text; set "
                "passages.chat=chat_template and passages.chat.template"
            )
        return record.text
    if not record.messages:
        raise ValueError(
            f"{record.where} has no messages for the template in passages.chat; name their field "
            "in text_field of the corpus, or set passages.chat=none"
        )
    # Here: a corpus without chats needs nothing of Hugging Face.
    from interlingua.models.hosts.chat import TemplateRefuses, rendered_messages

    messages = [{"role": one.role, "content": one.content} for one in record.messages]
    try:
        return rendered_messages(
            chat.template,
            messages,
            dict(chat.arguments),
            add_generation_prompt=chat.add_generation_prompt,
        )
    except TemplateRefuses as error:
        raise ValueError(
            f"{record.where}: passages.chat.template refuses its messages ({error}); correct the "
            "template or leave the row out"
        ) from error
