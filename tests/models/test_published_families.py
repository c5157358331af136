"""Published checkpoints, narrow, at their true depth: those that surprise on opening are read.

All of them are in tests/full/published.
"""

from dataclasses import replace

import pytest
from sentencepiece import SentencePieceProcessor
from tests.full.published.checkpoints import save_checkpoint
from tests.full.published.reading import check_rows

from interlingua.models.hosts.host import TOKENIZER_PROBES, load_host, load_tokenizer
from interlingua.published.hosts import pool_host

# Towers beside the text, names without a prefix, convolutions, pickled weights, and tokenizers
# that are no tokenizer.json.
SURPRISING = (
    "gemma4-e4b", "bloom-560m", "gpt2-medium", "lfm-7b", "deepseek-llm-7b", "yagpt-5-8b",
    "rugpt3-large",
)  # fmt: skip


@pytest.mark.parametrize("tag", SURPRISING)
def test_a_published_checkpoint_is_read_at_its_block(tag, tmp_path):
    host = pool_host(tag)
    folder = save_checkpoint(host, tmp_path / "model")
    check_rows(host, str(folder), None)
    opened = load_host(str(folder), dtype="float32", up_to_block=host.block_index)
    assert opened.num_blocks == host.num_blocks > opened.num_loaded_blocks


def test_the_trunk_has_a_marker_and_turns(tmp_path):
    folder = save_checkpoint(replace(pool_host("qwen3-1p7b"), num_blocks=1), tmp_path / "model")
    tokenizer = load_tokenizer(str(folder))
    assert len(tokenizer.encode("\u320e", add_special_tokens=False)) == 1
    assert tokenizer.chat_template and tokenizer.bos_token is None


def test_pieces_are_those_of_sentencepiece(tmp_path):
    host = replace(pool_host("yagpt-5-8b"), num_blocks=1)
    folder = save_checkpoint(host, tmp_path / "model")
    truth = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokenizer = load_tokenizer(str(folder))
    # A space before a text is a piece of its own in sentencepiece alone.
    for text in map(str.lstrip, TOKENIZER_PROBES):
        assert tokenizer.encode(text, add_special_tokens=False) == truth.encode(text)
