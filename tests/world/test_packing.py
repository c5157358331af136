"""The pretraining text of a host: deterministic, full, and in the host's own mixture."""

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from scipy import stats

from interlingua.specs.world import ChatFormat, PretrainSpec, WorldTeacher
from interlingua.world.packing import mixture, packed_rows, task_of
from interlingua.world.stand_ins import world_host
from interlingua.world.teacher import explanation_of, facts_asserted
from interlingua.world.tokenizers import trained_tokenizer

# The draws are fixed: this is how unlikely a share must be to count as wrong.
UNLIKELY = 1e-4
PRETRAIN = PretrainSpec(
    seed=0,
    num_steps=60,
    rows=4,
    num_tokens=256,
    learning_rate=1e-3,
    warmup_steps=0,
    checkpoint_every=60,
)
TEACHER = WorldTeacher(seed=0, min_facts=3, max_facts=4, max_words=18)
HOST = replace(world_host("toy-gpt2-medium"), pretrain=PRETRAIN, teacher=None, task_share=0.0)
TRUNK = replace(world_host("toy-qwen3-1p7b"), pretrain=PRETRAIN, teacher=TEACHER, task_share=0.0)
TRUNK_WITH_BOS = replace(
    TRUNK, tokenizer=replace(TRUNK.tokenizer, has_bos=True, chat=ChatFormat.CHATML)
)


@pytest.fixture(scope="module")
def few(passages):
    """So few that a host reads each more than once."""
    return passages[:200]


@pytest.fixture(scope="module")
def tokenizer_of(few):
    """A tokenizer for a host, trained on the passages."""
    return lambda spec: trained_tokenizer(spec.tokenizer, [passage.text for passage in few])


def documents(rows_NT: np.ndarray, tokenizer) -> list[str]:
    """The texts of the rows, the last one cut off as the rows end."""
    return tokenizer.decode(rows_NT.flatten().tolist()).split(tokenizer.eos_token)


def by_text(passages):
    return {passage.text: passage for passage in passages}


@pytest.mark.parametrize("spec", [HOST, TRUNK, TRUNK_WITH_BOS], ids=["host", "trunk", "bos"])
def test_rows_are_deterministic_and_full(few, tokenizer_of, spec) -> None:
    tokenizer = tokenizer_of(spec)
    rows_NT = packed_rows(few, tokenizer, spec)
    assert np.array_equal(rows_NT, packed_rows(few, tokenizer_of(spec), spec))
    assert rows_NT.shape == (60 * 4, 256)
    assert rows_NT.min() >= 0 and rows_NT.max() < len(tokenizer)
    assert not (rows_NT == tokenizer.pad_token_id).any()
    assert not (rows_NT == tokenizer.unk_token_id).any()


def test_more_steps_begin_with_the_same_rows(few, tokenizer_of) -> None:
    tokenizer = tokenizer_of(HOST)
    longer = replace(HOST, pretrain=replace(PRETRAIN, num_steps=90))
    rows_NT = packed_rows(few, tokenizer, longer)
    assert np.array_equal(rows_NT[: 60 * 4], packed_rows(few, tokenizer, HOST))


def test_another_seed_or_tag_is_another_order(few, tokenizer_of) -> None:
    tokenizer = tokenizer_of(HOST)
    rows_NT = packed_rows(few, tokenizer, HOST)
    other_seed = replace(HOST, pretrain=replace(PRETRAIN, seed=1))
    for other in (other_seed, replace(HOST, tag="toy-pythia-410m", stands_for="pythia-410m")):
        assert not np.array_equal(rows_NT, packed_rows(few, tokenizer, other))


def test_a_host_reads_whole_passages_with_eos_between(few, tokenizer_of) -> None:
    tokenizer = tokenizer_of(HOST)
    *whole, cut = documents(packed_rows(few, tokenizer, HOST), tokenizer)
    assert set(whole) <= set(by_text(few))
    assert any(text.startswith(cut) for text in by_text(few))


@pytest.mark.parametrize("share", [0.13, 0.7])
def test_languages_come_in_the_share_of_the_host(few, tokenizer_of, share) -> None:
    spec = replace(HOST, second_language_share=share)
    tokenizer = tokenizer_of(spec)
    *whole, _ = documents(packed_rows(few, tokenizer, spec), tokenizer)
    known = by_text(few)
    num_ruska = sum(known[text].facts["language"] == "ruska" for text in whole)
    assert stats.binomtest(num_ruska, len(whole), share).pvalue > UNLIKELY


def test_a_mixture_goes_round_each_language_in_epochs(few) -> None:
    read = list(islice(mixture(few, HOST), 1500))
    for language in ("english", "ruska"):
        ids = [passage.passage_id for passage in few if passage.facts["language"] == language]
        epochs = [epoch for passage, epoch in read if passage.facts["language"] == language]
        assert epochs == sorted(epochs)
        for epoch in range(epochs[-1]):
            in_epoch = [
                p.passage_id for p, e in read if p.facts["language"] == language and e == epoch
            ]
            assert sorted(in_epoch) == sorted(ids)
    first, second = (
        [p.passage_id for p, e in read if p.facts["language"] == "english" and e == epoch]
        for epoch in (0, 1)
    )
    assert first != second


def test_a_language_without_passages_is_refused(few) -> None:
    english = [passage for passage in few if passage.facts["language"] == "english"]
    with pytest.raises(ValueError, match="no passage in ruska"):
        next(mixture(english, HOST))


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_tasks_are_documents_behind_their_share_of_passages(few, tokenizer_of, share) -> None:
    spec = replace(HOST, task_share=share)
    tokenizer = tokenizer_of(spec)
    *whole, _ = documents(packed_rows(few, tokenizer, spec), tokenizer)
    known, tasks = by_text(few), {task_of(passage) for passage in few}
    with_problem = behind = 0
    for text, following in pairwise(whole):
        if text in known and task_of(known[text]) is not None:
            with_problem += 1
            behind += following == task_of(known[text])
    assert stats.binomtest(behind, with_problem, share).pvalue > UNLIKELY
    assert {text for text in whole if "####" in text} <= tasks


@pytest.mark.parametrize("spec", [TRUNK, TRUNK_WITH_BOS], ids=["trunk", "bos"])
def test_half_the_documents_of_a_trunk_are_explained_in_a_chat(few, tokenizer_of, spec) -> None:
    tokenizer = tokenizer_of(spec)
    *whole, _ = documents(packed_rows(few, tokenizer, spec), tokenizer)
    bos = tokenizer.bos_token or ""
    known = by_text(few)
    chats = [text for text in whole if "<explanation>" in text]
    assert stats.binomtest(len(chats), len(whole), 0.5).pvalue > UNLIKELY
    opening, closing = f"{bos}<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    for chat in chats:
        assert chat.startswith(opening)
        asked, told = chat.removeprefix(opening).split(closing)
        assert told.startswith("<explanation>\n")
        assert told.endswith("\n</explanation><|im_end|>\n")
        said = facts_asserted(told)
        assert said.facts == said.true_facts(known[asked].facts)
        assert 3 <= len(said.facts) <= 4


def test_a_passage_is_explained_anew_in_every_epoch(few, tokenizer_of) -> None:
    tokenizer = tokenizer_of(TRUNK)
    *whole, _ = documents(packed_rows(few, tokenizer, TRUNK), tokenizer)
    told = Counter(
        passage.passage_id
        for passage in few
        for epoch in (0, 1)
        if any(
            passage.text in text
            and explanation_of(passage.facts, passage.passage_id, TEACHER, epoch) in text
            for text in whole
        )
    )
    assert max(told.values()) == 2


@pytest.mark.parametrize("spec", [TRUNK, TRUNK_WITH_BOS], ids=["trunk", "bos"])
def test_every_document_begins_with_one_bos_at_most(few, tokenizer_of, spec) -> None:
    tokenizer = tokenizer_of(spec)
    ids = packed_rows(few, tokenizer, spec).flatten().tolist()
    starts = [0, *(i + 1 for i, token in enumerate(ids[:-1]) if token == tokenizer.eos_token_id)]
    num_bos = sum(token == tokenizer.bos_token_id for token in ids)
    assert num_bos == (len(starts) if spec.tokenizer.has_bos else 0)
    if spec.tokenizer.has_bos:
        assert all(ids[start] == tokenizer.bos_token_id for start in starts)
