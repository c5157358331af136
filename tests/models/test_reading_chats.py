"""Rendered chats are read as they stand, at their last token; positions are the release's."""

import hashlib
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from interlingua.models.bundle.host_readers import HostReaders
from interlingua.models.bundle.shared_weights import SharedWeights
from interlingua.models.hosts.activations import Reader
from interlingua.models.hosts.chat import rendered_messages
from interlingua.serving.engines.card import READS
from interlingua.specs.extraction import (
    ExtractSpec,
    LastToken,
    Pooled,
    Reading,
    Spans,
    TokenPositions,
)
from interlingua.specs.splits import Split
from interlingua.stages.rows.block_reader import Block, BlockReader, Job, read_mode
from interlingua.store.blocks import DONE_FOLDER
from interlingua.store.bundle import BundledHost, Opened
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import block_folder, list_shards, read_shard
from interlingua.store.rows.splits import passage_id

BOS, OPENING, CLOSING = "<|begin|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATS = [
    [{"role": "user", "content": "Who came home?"}],
    [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "The farmer."},
        {"role": "user", "content": "And where is he now?"},
    ],
]
BLOCK = 1
SPEC = ExtractSpec(
    host_tag="host",
    block_indices=(BLOCK,),
    read=LastToken(),
    max_tokens=256,
    dtype="float32",
    splits=(Split.FIT,),
    adds_special_tokens=False,
)


@pytest.fixture(scope="module")
def tokenizer():
    """One token a byte and chat markers; it puts a BOS before every text, and so does its chat."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(alphabet)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens([BOS, OPENING, CLOSING])
    begin = (BOS, made.token_to_id(BOS))
    made.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[begin])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=BOS,
        eos_token=CLOSING,
        extra_special_tokens={"opening": OPENING},
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("host")
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=256,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def texts():
    """The chats as passages of our rendering."""
    rendered = [
        rendered_messages(TEMPLATE, chat, {"bos_token": BOS}, add_generation_prompt=True)
        for chat in CHATS
    ]
    return [(passage_id(text), text) for text in rendered]


def reader(folder, spec=SPEC):
    return Reader(folder, spec, revision=None, device="cpu", batch_tokens=1024)


def last_states(folder, ids):
    """[D] of the last id, by Hugging Face's own means."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_hidden_states=True)
    return out.hidden_states[BLOCK + 1][0, -1].numpy()


def test_a_chat_is_rendered_as_by_its_tokenizer(tokenizer, texts):
    for chat, (_, text) in zip(CHATS, texts, strict=True):
        options = {"add_generation_prompt": True}
        assert text == tokenizer.apply_chat_template(chat, tokenize=False, **options)


def test_the_last_token_of_a_chat_is_what_the_model_gives_there(folder, tokenizer, texts):
    rows = reader(folder).rows(texts)
    assert rows.passage_ids == [key for key, _ in texts] and rows.positions == [-1, -1]
    for row, chat in enumerate(CHATS):
        ids = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        assert ids.count(tokenizer.bos_token_id) == 1 and rows.num_tokens[row] == len(ids)
        expected_D = last_states(folder, ids)
        np.testing.assert_allclose(rows.vectors_by_block[BLOCK][row], expected_D, atol=1e-5)
    assert rows.counts["num_truncated"] == rows.counts["num_without_rows"] == 0


@pytest.mark.parametrize("read", [LastToken(), Pooled(include_first=False)])
def test_a_rendered_chat_gets_no_second_bos(folder, tokenizer, texts, read):
    bos, (_, text) = tokenizer.bos_token_id, texts[0]
    own = reader(folder, replace(SPEC, read=read))
    adding = reader(folder, replace(SPEC, read=read, adds_special_tokens=True))
    assert own.tokens(text).ids.count(bos) == 1 and adding.tokens(text).ids.count(bos) == 2
    assert own.num_tokens(text) == adding.num_tokens(text) - 1
    assert own.rows(texts).num_tokens[0] == own.num_tokens(text)
    assert adding.rows(texts).num_tokens[0] == adding.num_tokens(text)
    # Whoever says so himself is not overruled.
    assert own.tokens(text, adds_special=True).ids == adding.tokens(text).ids


def test_a_text_that_was_cut_has_no_last_token_and_is_counted(folder, texts):
    lengths = [reader(folder).num_tokens(text) for _, text in texts]
    assert lengths[0] < lengths[1]
    for max_tokens, num_cut in ((lengths[1], 0), (lengths[1] - 1, 1), (lengths[0] - 1, 2)):
        rows = reader(folder, replace(SPEC, max_tokens=max_tokens)).rows(texts)
        assert rows.passage_ids == [key for key, _ in texts[: 2 - num_cut]]
        assert rows.counts["num_truncated"] == rows.counts["num_without_rows"] == num_cut


def test_an_empty_text_has_no_last_token(folder):
    rows = reader(folder).rows([("e" * 16, "")])
    assert rows.positions == [] and rows.counts["num_without_rows"] == 1
    assert rows.counts["num_truncated"] == 0


def test_a_bundle_reads_a_text_at_its_last_token(folder, texts):
    host = BundledHost(
        model=Opened(source=folder, revision=None, files=None),
        block_index=BLOCK,
        read=LastToken(),
        max_tokens=100,
        dtype="float32",
        adds_special_tokens=False,
    )
    readers = HostReaders(None, {"host": host}, "cpu", SharedWeights())
    expected_D = reader(folder).rows(texts[:1]).vectors_by_block[BLOCK][0]
    (key, text) = texts[0]
    np.testing.assert_allclose(readers.activation(text, "host", None, None), expected_D, atol=1e-6)
    np.testing.assert_allclose(readers.activation(text, "host", -1, None), expected_D, atol=1e-6)
    with pytest.raises(ValueError, match="reads the first 100 .*, and this NLA explains the last"):
        readers.read(["a" * 101], "host", None)
    with pytest.raises(ValueError, match="'' is too short for host: it has no token"):
        readers.activation("", "host", None, None)


def test_every_reading_has_a_mode_and_a_name_of_its_own():
    of_tokens = {"per_passage": 1, "seed": 0}
    readings = [
        Pooled(include_first=False),
        Pooled(include_first=True),
        LastToken(),
        TokenPositions(min_position=0, **of_tokens),
        Spans(min_sentence=0, **of_tokens),
    ]
    assert {type(one) for one in readings} == set(READS) == set(Reading.__args__)
    assert len({read_mode(one) for one in readings}) == len(readings)
    assert len(set(READS.values())) == len(READS)


def positions_of_the_release(token_ids, special_ids, document, seed, count, first):
    key = hashlib.sha256(f"{seed}|{document}".encode()).digest()
    allowed = [n for n, one in enumerate(token_ids) if n >= first and one not in special_ids]
    return random.Random(key).sample(allowed, k=min(count, len(allowed)))


@pytest.mark.parametrize("keyed_by", ["document", "passage"])
def test_positions_are_drawn_by_document_as_the_release_draws_them(
    folder, tokenizer, tmp_path, keyed_by
):
    read = TokenPositions(per_passage=10, min_position=50, seed=42, keyed_by=keyed_by)
    spec = replace(SPEC, read=read, max_tokens=120, adds_special_tokens=True)
    texts = [
        "The farmer went home, and it rained. " * 3 + f"{CLOSING} {number} " + "x" * 5 * number
        for number in range(12)
    ] + ["too short", "The farmer went home, and it rained on that day"]
    passages = [
        Passage(
            passage_id=passage_id(text),
            document_id=f"corpus:train:{number}",
            split=Split.FIT,
            text=text,
            facts={},
            mentions=(),
        )
        for number, text in enumerate(texts)
    ]
    for name in (DONE_FOLDER, block_folder(tmp_path, BLOCK).name):
        (tmp_path / name).mkdir()
    job = Job(spec=spec, source=folder, revision=None, device="cpu", batch_tokens=1024, threads=1)
    BlockReader(job)(Block(0, tuple(passages), tmp_path))
    [shard] = [read_shard(path).rows for path in list_shards(block_folder(tmp_path, BLOCK))]
    found = list(zip(shard.passage_ids_N.astype(str), shard.positions_N, strict=True))
    special = set(tokenizer.all_special_ids)
    expected = [
        (one.passage_id, position)
        for one in passages
        for position in sorted(
            positions_of_the_release(
                tokenizer(one.text, truncation=True, max_length=120)["input_ids"],
                special,
                one.document_id if keyed_by == "document" else one.passage_id,
                seed=42,
                count=10,
                first=50,
            )
        )
    ]
    assert found == expected and len(found) == 120


def test_positions_by_document_need_documents(folder, texts):
    read = TokenPositions(per_passage=1, min_position=0, seed=0, keyed_by="document")
    with pytest.raises(ValueError, match="no document of these texts is given; name them"):
        reader(folder, replace(SPEC, read=read)).rows(texts)
