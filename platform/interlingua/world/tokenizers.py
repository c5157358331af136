"""Real tokenizers of different kinds, trained on the world's texts. Knows no model.

A saved folder must give the trained ids to whoever loads it with transformers alone.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from interlingua.specs.world import ChatFormat, TokenizerKind, TokenizerSpec
from interlingua.world.hosts import SpecialIds

MARKER = "\u320e"
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
BEGIN = "<s>"
# One token each: an explanation of a dozen words should not cost a dozen more for its tags.
TAGS = (
    *("<concept>", "</concept>", "<explanation>", "</explanation>"),
    *("<text>", "</text>", "<summary>"),
)

# What Qwen2Tokenizer builds for itself, whatever tokenizer.json says: with any other
# pre-tokenizer a folder with model_type qwen2 would load with other ids.
_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPACE = "\u2581"


@dataclass(frozen=True, slots=True)
class _Turns:
    """Texts that open and close a turn of a chat, and the name of the assistant's role."""

    opening: str
    closing: str
    assistant: str

    def template(self, begin: str) -> str:
        """The Jinja template that renders messages with these turns."""
        role = "message['role']"
        if self.assistant != "assistant":
            role = f"('{self.assistant}' if {role} == 'assistant' else {role})"
        return (
            f"{begin}{{% for message in messages %}}"
            f"{self.opening}{{{{ {role} }}}}\n{{{{ message['content'] }}}}{self.closing}\n"
            "{% endfor %}{% if add_generation_prompt %}"
            f"{self.opening}{self.assistant}\n{{% endif %}}"
        )


TURNS = MappingProxyType(
    {
        ChatFormat.CHATML: _Turns("<|im_start|>", "<|im_end|>", "assistant"),
        ChatFormat.GEMMA: _Turns("<start_of_turn>", "<end_of_turn>", "model"),
        ChatFormat.LLAMA: _Turns("[INST]", "[/INST]", "assistant"),
    }
)


def trained_tokenizer(spec: TokenizerSpec, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of the asked kind that has seen these texts, ready to be saved."""
    tokenizer = _untrained(spec.kind)
    tokenizer.train_from_iterator(texts, _trainer(spec))
    if spec.kind is TokenizerKind.UNIGRAM:
        tokenizer = _in_fixed_order(tokenizer)
    if spec.has_bos:
        begin_id = tokenizer.token_to_id(BEGIN)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, begin_id)]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN if spec.has_bos else None,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
    if spec.chat is not None:
        wrapped.chat_template = TURNS[spec.chat].template(BEGIN if spec.has_bos else "")
    return wrapped


def special_ids(tokenizer: PreTrainedTokenizerFast) -> SpecialIds:
    """The ids that a model's configuration must name; without a BOS, END begins a text."""
    begin = tokenizer.bos_token_id
    return SpecialIds(
        bos=tokenizer.eos_token_id if begin is None else begin,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )


def _untrained(kind: TokenizerKind) -> Tokenizer:
    match kind:
        case TokenizerKind.BYTE_BPE:
            tokenizer = Tokenizer(models.BPE())
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
        case TokenizerKind.QWEN_BPE:
            tokenizer = Tokenizer(models.BPE())
            tokenizer.normalizer = normalizers.NFC()
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Split(Regex(_QWEN_PATTERN), behavior="isolated"),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
                ]
            )
            tokenizer.decoder = decoders.ByteLevel()
        case TokenizerKind.METASPACE_BPE:
            tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=UNKNOWN))
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Metaspace(prepend_scheme="first"),
                    pre_tokenizers.Digits(individual_digits=True),
                ]
            )
            tokenizer.decoder = decoders.Sequence(
                [
                    decoders.Replace(_SPACE, " "),
                    decoders.ByteFallback(),
                    decoders.Fuse(),
                    decoders.Strip(" ", 1, 0),
                ]
            )
        case TokenizerKind.UNIGRAM:
            tokenizer = Tokenizer(models.Unigram())
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
            tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return tokenizer


def _in_fixed_order(tokenizer: Tokenizer) -> Tokenizer:
    """The same pieces with the same ids in every process.

    The trainer scores letters that are no piece of their own just above the rarest piece, one
    after the other in the order of a hash table: here they all get the score of that piece.
    """
    state = json.loads(tokenizer.to_str())
    vocab, num_special = state["model"]["vocab"], len(state["added_tokens"])
    special, pieces = vocab[:num_special], vocab[num_special:]
    rarest = round(min(score for _, score in pieces), 9)
    settled = [
        (piece, rarest if len(piece) == 1 and score < rarest + 0.05 else round(score, 9))
        for piece, score in pieces
    ]
    state["model"]["vocab"] = special + sorted(settled, key=lambda entry: (-entry[1], entry[0]))
    return Tokenizer.from_str(json.dumps(state))


def _trainer(spec: TokenizerSpec) -> trainers.Trainer:
    # Special tokens get the first ids, in this order, whatever is learned from the texts.
    special = [PAD, END, UNKNOWN, *([BEGIN] if spec.has_bos else []), MARKER, *TAGS]
    if spec.chat is not None:
        special += [TURNS[spec.chat].opening, TURNS[spec.chat].closing]
    match spec.kind:
        case TokenizerKind.UNIGRAM:
            return trainers.UnigramTrainer(
                vocab_size=spec.vocab_size,
                special_tokens=special,
                unk_token=UNKNOWN,
                show_progress=False,
            )
        case TokenizerKind.METASPACE_BPE:
            # Byte fallback needs a token for every byte; else it gives <unk>.
            special += [f"<0x{byte:02X}>" for byte in range(256)]
            alphabet = []
        case _:
            alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
