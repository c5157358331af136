"""A tiny random model in a folder that answers chats: in the template of its tokens, and ending."""

from pathlib import Path

import torch
from tests.models.gguf_files import SPECIAL
from tests.own_model import save_model
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END = 2


def save_chat_model(folder: Path, *, template: str | None = TEMPLATE, ends: float = 2.0) -> Path:
    """Save it; the larger `ends`, the sooner its answers do."""
    assert SPECIAL[END] == "<|im_end|>"
    save_model(folder)
    model = LlamaForCausalLM.from_pretrained(folder)
    with torch.no_grad():  # flatter, so that answers differ; and with an end that is drawn
        model.model.embed_tokens.weight *= 2
        model.model.embed_tokens.weight[END] *= ends
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder
