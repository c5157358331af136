"""Writes the tokenizer of a published repository, small, in the files that the repository has."""

import io
import json
from functools import cache
from pathlib import Path

import sentencepiece
from tests.full.published.vocabularies import (
    CONFIG,
    JSON,
    MERGES,
    PIECES,
    VOCAB,
    VOCABULARIES,
    Vocabulary,
)
from tests.own_model import texts
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GemmaTokenizer, LlamaTokenizer

from interlingua.world.hosts import SpecialIds

NUM_TOKENS = 1000
MARKERS = ("\u320e", "\u320f")
TAGS = ("<explanation>\n", "\n</explanation>", "<concept>", "</concept>", "<text>", "</text>")


def save_tokenizer(hub_id: str, folder: Path) -> SpecialIds:
    """Write its files; the ids that the configuration of the model must name."""
    kind = VOCABULARIES[hub_id]
    config: dict[str, object] = {f"{role}_token": token for role, token in kind.named().items()}
    config |= {"tokenizer_class": kind.class_name, "add_bos_token": kind.begins_with_bos}
    if kind.template is not None:
        config["chat_template"] = kind.template
    (folder / CONFIG).write_text(json.dumps({**config, **kind.also}, indent=2))
    tokenizer = _of_pieces(kind, folder) if kind.has_pieces else _of_bytes(kind)
    tokenizer.save(str(folder / JSON))
    model = json.loads((folder / JSON).read_text())["model"]
    (folder / VOCAB).write_text(json.dumps(model["vocab"], ensure_ascii=False))
    pairs = (" ".join(pair) for pair in model["merges"])
    (folder / MERGES).write_text("\n".join(["#version: 0.2", *pairs, ""]))
    for name in {JSON, PIECES, VOCAB, MERGES} - set(kind.files):
        (folder / name).unlink(missing_ok=True)
    eos = tokenizer.token_to_id(kind.eos)
    ids = {role: tokenizer.token_to_id(token) for role, token in kind.named().items()}
    return SpecialIds(bos=ids.get("bos", eos), eos=eos, pad=ids.get("pad", eos))


@cache
def _learned() -> list[str]:
    """What all are trained on: without the second part the marker would be several tokens."""
    return [*texts(150), *[*MARKERS, *TAGS] * 100]


def _of_bytes(kind: Vocabulary) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind.split is None)
    tokenizer.pre_tokenizer = byte_level
    if kind.split is not None:
        split = pre_tokenizers.Split(Regex(kind.split), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_TOKENS,
        special_tokens=list(kind.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_learned(), trainer)
    if kind.begins_with_bos:
        assert kind.bos is not None
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{kind.bos} $A", special_tokens=[(kind.bos, tokenizer.token_to_id(kind.bos))]
        )
    return tokenizer


def _of_pieces(kind: Vocabulary, folder: Path) -> Tokenizer:
    """Pieces as sentencepiece learns them, and what transformers makes of its file."""
    made, roles = io.BytesIO(), kind.named()
    places = {
        f"{role}_id": kind.special.index(roles[role]) if role in roles else -1
        for role in ("bos", "eos", "pad", "unk")
    }
    pieces = {f"{role}_piece": token for role, token in roles.items()}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_learned()),
        model_writer=made,
        model_type="bpe",
        vocab_size=NUM_TOKENS,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        control_symbols=[token for token in kind.special if token not in roles.values()],
        num_threads=1,
        minloglevel=2,
        **places,
        **pieces,
    )
    (folder / PIECES).write_bytes(made.getvalue())
    made_by = GemmaTokenizer if kind.class_name == "GemmaTokenizer" else LlamaTokenizer
    return made_by.from_pretrained(folder).backend_tokenizer
