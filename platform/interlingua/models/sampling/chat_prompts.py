"""Texts as prompts of a chat model, by its own template. Knows no model and no answer."""

from collections.abc import Sequence
from os.path import commonprefix
from typing import Any

from transformers import PreTrainedTokenizerBase

# A template may write today's date, and the same text would be another prompt tomorrow. Jinja drops
# the first newline behind a block, so that what follows begins as it did.
SAME_DAY = (
    "{% macro strftime_now(form) %}"
    "{{ form | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July')"
    " | replace('%m', '07') | replace('%Y', '2024') }}"
    "{% endmacro %}\n"
)
PROBES = ("\ue000", "\u4e00 a")  # two texts that begin in other ways
SYSTEM_PROBE = "\ue001"


class CannotBeAsked(ValueError):
    """A model has no chat template, or one that does not write these messages."""


class ChatPrompts:
    """Prompts of one question about many texts: a system message, and one of a user."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        source: str,
        *,
        system: str | None,
        before: str,
        behind: str,
    ) -> None:
        """Check the template; a user's message is `before`, a text, and `behind`."""
        if tokenizer.chat_template is None:
            raise CannotBeAsked(
                f"{source} has no chat template, without which it cannot be asked: name a chat "
                "model (often called -Instruct or -it), or put its chat_template.jinja beside its "
                "tokenizer"
            )
        self._tokenizer, self._source = tokenizer, source
        self._system, self._before, self._behind = system, before, behind
        template: str = tokenizer.get_chat_template()
        self._template = f"{SAME_DAY}{template}" if "strftime_now" in template else template
        self._check_written()
        # Of all prompts: it is run once. A text may merge with its last token.
        self.beginning: Sequence[int] = commonprefix([self.ids(probe) for probe in PROBES])

    def ids(self, text: str) -> list[int]:
        """The prompt about a text, up to where the answer begins."""
        # Sanitized: a text may hold the very tokens that end a turn.
        options = {"tokenize": True, "return_dict": False, "sanitize_control_tokens": True}
        return [*self._applied(self._messages(text), options)]

    def _messages(self, text: str) -> list[dict[str, str]]:
        user = {"role": "user", "content": f"{self._before}{text}{self._behind}"}
        return [user] if self._system is None else [self._of_system(self._system), user]

    def _of_system(self, text: str) -> dict[str, str]:
        return {"role": "system", "content": text}

    def _applied(self, messages: list[dict[str, str]], options: dict[str, bool]) -> Any:
        try:
            return self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                add_generation_prompt=True,
                enable_thinking=False,  # a template that does not know it leaves it unread
                **options,
            )
        except Exception as error:  # a template raises whatever it likes
            cause = str(error).partition("\n")[0]
            remedy = "name another model"
            if self._system is not None:
                remedy = "set prompt.system to none and say in prompt.user what it says"
            raise CannotBeAsked(
                f"the chat template of {self._source} refuses the messages ({cause}): {remedy}"
            ) from error

    def _check_written(self) -> None:
        """Raise where the template leaves a message out, or takes it for a list of parts."""
        messages = self._messages(PROBES[0])
        if self._system is not None:
            messages[0] = self._of_system(SYSTEM_PROBE)
        written = str(self._applied(messages, {"tokenize": False}))
        if self._system is not None and SYSTEM_PROBE not in written:
            raise CannotBeAsked(
                f"the chat template of {self._source} leaves the system message out: set "
                "prompt.system to none and say in prompt.user what it says"
            )
        if f"{self._before.lstrip()}{PROBES[0]}{self._behind.rstrip()}" not in written:
            raise CannotBeAsked(
                f"the chat template of {self._source} does not write a user's text as it is: name "
                "another model"
            )
