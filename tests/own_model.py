"""What the walks begin with: a tiny model in a folder, texts, and explanations of them."""

from pathlib import Path

from tests.models.gguf_files import SPECIAL, small_llama, small_tokenizer
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from interlingua.models.pair.prompts import CLOSING, OPENING
from interlingua.recipes.world import world_mini
from interlingua.world.text import telling_of

VOCABULARY, POSITIONS = 600, 512
MARKER = "\u3200"  # which an AV's prompt holds, and a tokenizer must have


def texts(count: int, first: int = 9000) -> list[str]:
    """Texts of the embedded world that none of its recipes has."""
    world = world_mini().passages.corpus.world
    return [telling_of(number, world).text for number in range(first, first + count)]


def tokenizer_of_texts(vocab_size: int = VOCABULARY) -> Tokenizer:
    """A tokenizer that learned such texts, the marker, and the tags of an explanation."""
    learned = [*texts(100), *[MARKER, f"{OPENING}\n", f"\n{CLOSING}"] * 100]
    return small_tokenizer(has_single_digits=True, texts=learned, vocab_size=vocab_size)


def save_model(folder: Path, *, vocab_size: int = VOCABULARY) -> Path:
    """A random llama of three blocks whose tokenizer learned these texts."""
    tokenizer = tokenizer_of_texts(vocab_size)
    small_llama(tokenizer.get_vocab_size(), is_tied=True, positions=POSITIONS).save_pretrained(
        folder
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
    ).save_pretrained(folder)
    return folder
