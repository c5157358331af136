"""Every host's tokenizer, as trained and as plain transformers opens it from a saved folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from interlingua.models.hosts.host import load_tokenizer
from interlingua.published.hosts import pool_host
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.world.hosts import tiny_config
from interlingua.world.packing import task_of
from interlingua.world.stand_ins import WORLD_HOSTS
from interlingua.world.tokenizers import MARKER, TAGS, TURNS, special_ids, trained_tokenizer

NUM_TEXTS = 400
TURNS_OF_A_CHAT = [
    {"role": "user", "content": "what is said here ?"},
    {"role": "assistant", "content": "<explanation>\nabout a farm. sad mood.\n</explanation>"},
]
OTHER_TEXTS = (
    f"<concept>{MARKER}{MARKER}</concept> x",
    "<explanation>\nin ruska. a letter.\n</explanation>",
    "12 + 7 = 19. #### 19",
)

SOURCE_ROOT = Path(__file__).parents[2] / "platform"
# Trains a tokenizer of each kind on the texts given on standard input and prints them all.
PROGRAM = """
import json, sys
from interlingua.specs.world import TokenizerKind, TokenizerSpec
from interlingua.world.tokenizers import trained_tokenizer
texts = json.load(sys.stdin)
specs = [TokenizerSpec(kind=k, vocab_size=1200, has_bos=True, chat=None) for k in TokenizerKind]
trained = {s.kind: trained_tokenizer(s, texts).backend_tokenizer.to_str() for s in specs}
print(json.dumps(trained))
"""


@pytest.fixture(scope="module")
def texts(passages):
    return [f"{passage.text} {task_of(passage) or ''}" for passage in passages[:NUM_TEXTS]]


@pytest.fixture(scope="module", params=WORLD_HOSTS)
def host(request):
    return WORLD_HOSTS[request.param]


@pytest.fixture(scope="module")
def trained(host, texts):
    return trained_tokenizer(host.tokenizer, texts)


@pytest.fixture(scope="module")
def folder(host, trained, tmp_path_factory):
    """What a host's artifact holds but the weights."""
    path = tmp_path_factory.mktemp(host.tag)
    trained.save_pretrained(path)
    config = tiny_config(
        pool_host(host.stands_for),
        width=32,
        num_blocks=2,
        num_heads=4,
        vocab_size=len(trained),
        max_positions=64,
        special_ids=special_ids(trained),
    )
    config.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module", params=[AutoTokenizer.from_pretrained, load_tokenizer])
def loaded(request, folder):
    return request.param(folder)


def test_the_vocabulary_is_no_larger_than_asked(host, trained) -> None:
    assert 512 <= len(trained) <= host.tokenizer.vocab_size
    assert sorted(trained.get_vocab().values()) == list(range(len(trained)))


def test_the_marker_is_one_token_however_often_it_stands(trained) -> None:
    marker_id = trained.convert_tokens_to_ids(MARKER)
    for num_slots in (1, 4, 16):
        assert trained.encode(MARKER * num_slots, add_special_tokens=False) == (
            [marker_id] * num_slots
        )
    around = trained.encode(f"the {MARKER} cow{MARKER}.", add_special_tokens=False)
    assert around.count(marker_id) == 2


def test_tags_and_turn_marks_are_one_token_each(host, trained) -> None:
    marks = [*TAGS]
    if host.tokenizer.chat is not None:
        marks += [TURNS[host.tokenizer.chat].opening, TURNS[host.tokenizer.chat].closing]
    ids = [trained.encode(mark, add_special_tokens=False) for mark in marks]
    assert ids == [[trained.convert_tokens_to_ids(mark)] for mark in marks]
    assert len({only for [only] in ids} | {trained.unk_token_id}) == len(marks) + 1


def test_the_special_ids_differ_and_a_text_begins_with_bos_where_there_is_one(
    host, trained
) -> None:
    ids = special_ids(trained)
    assert len({ids.eos, ids.pad, trained.unk_token_id}) == 3
    first, *rest = trained.encode("a cow")
    assert (first == ids.bos) == host.tokenizer.has_bos
    assert trained.encode("a cow", add_special_tokens=False) == (
        rest if host.tokenizer.has_bos else [first, *rest]
    )
    assert (ids.bos == ids.eos) == (not host.tokenizer.has_bos)


def test_a_loaded_tokenizer_gives_the_trained_ids(trained, loaded, passages) -> None:
    unseen = [passage.text for passage in passages[NUM_TEXTS : NUM_TEXTS + 50]]
    for text in (*unseen, *OTHER_TEXTS):
        for with_special in (True, False):
            assert loaded.encode(text, add_special_tokens=with_special) == trained.encode(
                text, add_special_tokens=with_special
            )


def test_a_loaded_tokenizer_gives_the_text_back(host, loaded, passages) -> None:
    unseen = [passage.text for passage in passages[NUM_TEXTS : NUM_TEXTS + 50]]
    for text in (*unseen, *OTHER_TEXTS):
        # A unigram model knows the characters of its own texts only, and those have no line ends.
        if "\n" in text and host.tokenizer.kind is TokenizerKind.UNIGRAM:
            continue
        ids = loaded.encode(text, add_special_tokens=False)
        assert loaded.unk_token_id not in ids
        assert loaded.decode(ids) == text


def test_a_loaded_tokenizer_has_the_same_special_tokens(trained, loaded) -> None:
    assert len(loaded) == len(trained)
    assert loaded.get_vocab() == trained.get_vocab()
    assert special_ids(loaded) == special_ids(trained)
    assert loaded.unk_token_id == trained.unk_token_id
    # gpt2 would add the embedding of token 0 to every position for a `token_type_ids` of zeros
    assert set(loaded("a cow")) == {"input_ids", "attention_mask"}


def test_a_configuration_names_the_ids_of_its_tokenizer(folder, trained) -> None:
    config = json.loads(Path(folder, "config.json").read_text())
    ids = special_ids(trained)
    assert config["eos_token_id"] == ids.eos
    assert config["pad_token_id"] == ids.pad
    assert config["bos_token_id"] == ids.bos


def test_a_chat_begins_with_one_bos_at_most(host, trained, loaded) -> None:
    if host.tokenizer.chat is None:
        assert loaded.chat_template is None
        return
    ids = loaded.apply_chat_template(TURNS_OF_A_CHAT, tokenize=True, return_dict=False)
    text = loaded.apply_chat_template(TURNS_OF_A_CHAT, tokenize=False)
    assert ids == trained.encode(text, add_special_tokens=False)
    if host.tokenizer.has_bos:
        assert ids[0] == trained.bos_token_id
        assert ids.count(trained.bos_token_id) == 1
    turns = TURNS[host.tokenizer.chat]
    opening, closing = trained.convert_tokens_to_ids([turns.opening, turns.closing])
    assert (ids.count(opening), ids.count(closing)) == (2, 2)


def test_the_prompt_of_a_chat_is_how_the_whole_chat_begins(host, loaded) -> None:
    if host.tokenizer.chat is None:
        return
    whole = loaded.apply_chat_template(TURNS_OF_A_CHAT, tokenize=False)
    prompt = loaded.apply_chat_template(
        TURNS_OF_A_CHAT[:1], tokenize=False, add_generation_prompt=True
    )
    assert whole.startswith(prompt + TURNS_OF_A_CHAT[1]["content"])


def test_passages_reach_128_tokens(trained, texts) -> None:
    lengths = [len(trained.encode(text)) for text in texts]
    assert np.quantile(lengths, 0.75) >= 128
    assert max(lengths) <= 512


def trained_here(kind: TokenizerKind, texts: list[str]) -> str:
    spec = TokenizerSpec(kind=kind, vocab_size=1200, has_bos=True, chat=None)
    return trained_tokenizer(spec, texts).backend_tokenizer.to_str()


@pytest.mark.parametrize("kind", TokenizerKind)
def test_two_trainings_give_the_same_tokenizer(kind, texts) -> None:
    assert trained_here(kind, texts) == trained_here(kind, texts)


@pytest.fixture(scope="module", params=[1, 3])
def trained_elsewhere(request, texts):
    """Tokenizers by kind, from a process with another number of threads."""
    threads = {"RAYON_NUM_THREADS": str(request.param), "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(texts),
        env=os.environ | threads | {"PYTHONPATH": str(SOURCE_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TokenizerKind)
def test_another_process_trains_the_same_tokenizer(kind, texts, trained_elsewhere) -> None:
    assert trained_elsewhere[kind] == trained_here(kind, texts)
