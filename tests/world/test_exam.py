"""The exam: padding changes nothing in any family, and its figures follow from its rows."""

import math
import re

import pyarrow as pa
import pytest
import torch

from interlingua.published.hosts import pool_host
from interlingua.world import exam
from interlingua.world.exam import exam_metrics, exam_rows
from interlingua.world.hosts import fresh_model, tiny_config
from interlingua.world.packing import task_of
from interlingua.world.stand_ins import WORLD_HOSTS
from interlingua.world.tokenizers import special_ids, trained_tokenizer

torch.set_num_threads(1)

# One host of every family.
TAGS = [
    *{
        pool_host(host.stands_for).model_type: tag for tag, host in reversed(WORLD_HOSTS.items())
    }.values()
]
NUM_EXAMINED = 7


@pytest.fixture(scope="module")
def examined(passages):
    """Passages of both languages, with and without a problem, of very different lengths."""
    by_length = sorted(passages[:400], key=lambda passage: len(passage.text))
    chosen = by_length[:: len(by_length) // (NUM_EXAMINED - 2)][: NUM_EXAMINED - 2]
    chosen.append(next(p for p in passages if not p.facts["answer"]))
    chosen.append(next(p for p in passages if p.facts["language"] == "ruska"))
    return list({passage.passage_id: passage for passage in chosen}.values())


@pytest.fixture(scope="module", params=TAGS)
def examinee(request, passages):
    """A random model with its tokenizer; large weights make it hear every token of a text."""
    host = WORLD_HOSTS[request.param]
    tokenizer = trained_tokenizer(host.tokenizer, [passage.text for passage in passages[:200]])
    config = tiny_config(
        pool_host(host.stands_for),
        width=32,
        num_blocks=3,
        num_heads=4,
        vocab_size=len(tokenizer),
        max_positions=512,
        special_ids=special_ids(tokenizer),
    )
    model = fresh_model(config, seed=0).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight *= 8
    return model, tokenizer


def test_losses_do_not_depend_on_the_batch(examinee, examined) -> None:
    model, tokenizer = examinee
    together = exam_rows(model, tokenizer, examined, batch_size=len(examined)).to_pylist()
    alone = exam_rows(model, tokenizer, examined, batch_size=1).to_pylist()
    assert [row["passage_id"] for row in together] == [p.passage_id for p in examined]
    for one, other in zip(together, alone, strict=True):
        assert one["scored_ids"] == other["scored_ids"]
        assert one["nll"] == pytest.approx(other["nll"], rel=1e-4)


def test_losses_are_those_of_plain_scoring(examinee, examined) -> None:
    model, tokenizer = examinee
    rows = exam_rows(model, tokenizer, examined, batch_size=3).to_pylist()
    for passage, row in zip(examined, rows, strict=True):
        ids_BT = torch.tensor([tokenizer.encode(passage.text)])
        with torch.no_grad():
            mean = model(input_ids=ids_BT, labels=ids_BT).loss.item()
        assert row["scored_ids"] == ids_BT[0, 1:].tolist()
        assert row["nll"] == pytest.approx(mean * (ids_BT.shape[1] - 1), rel=1e-3)


def test_answers_do_not_depend_on_the_batch(examinee, examined, monkeypatch) -> None:
    # The whole text written counts as the answer: random models never write a number sign.
    monkeypatch.setattr(exam, "_ANSWER", re.compile(r"(?s)(.*)"))
    model, tokenizer = examinee
    together = exam_rows(model, tokenizer, examined, batch_size=len(examined)).to_pylist()
    written = {row["passage_id"]: row["answered"] for row in together}
    assert len(set(written.values())) >= 3  # what is asked is heard
    for passage in examined:
        if not passage.facts["answer"]:
            assert written[passage.passage_id] == ""
            continue
        ids = tokenizer.encode(passage.facts["question"])
        expected = greedy(model, tokenizer, ids)
        assert written[passage.passage_id] == expected


def greedy(model, tokenizer, ids: list[int]) -> str:
    """What the model writes after these ids, one token at a time, without a cache or padding."""
    new: list[int] = []
    while len(new) < exam.MAX_CHAIN_TOKENS and tokenizer.eos_token_id not in new:
        with torch.no_grad():
            logits_V = model(input_ids=torch.tensor([ids + new]), use_cache=False).logits[0, -1]
        new.append(int(logits_V.argmax()))
    return tokenizer.decode(new, skip_special_tokens=True)


def test_a_chain_fits_into_the_tokens_of_an_answer(told) -> None:
    for telling in told:
        if telling.task is not None:
            # one token a character at most, one for the space before it and one for the end
            assert len(telling.task.chain) + 2 <= exam.MAX_CHAIN_TOKENS


def rows_of(*rows: tuple[str, str, list[int], float]) -> pa.Table:
    names = ("answer", "answered", "scored_ids", "nll")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_figures_follow_from_the_rows() -> None:
    rows = rows_of(
        ("7", "7", [1, 1, 2, 3], 6.0),
        ("7", "8", [1, 1], 1.0),
        ("3", "", [2, 4], 3.0),
        ("", "", [5, 5, 5, 5], 2.0),
    )
    metrics = exam_metrics(rows, seed=0)
    assert metrics["dev_nll"] == pytest.approx(12.0 / 12)
    assert metrics["dev_nll_n"] == 4
    assert metrics["dev_nll_low"] < 1.0 < metrics["dev_nll_high"]
    assert metrics["perplexity"] == pytest.approx(math.e)
    assert metrics["tokens_per_passage"] == 3.0
    assert metrics["arithmetic"] == pytest.approx(1 / 3)
    assert metrics["arithmetic_n"] == 3
    assert metrics["arithmetic_constant_answer"] == pytest.approx(2 / 3)


def test_the_entropy_is_that_of_the_tokens_scored() -> None:
    # shares 1/2, 1/4, 1/4: a bit and a half
    metrics = exam_metrics(rows_of(("", "", [1, 2], 1.0), ("", "", [1, 3], 1.0)), seed=0)
    assert metrics["unigram_entropy"] == pytest.approx(1.5 * math.log(2))
    assert metrics["nll_over_entropy"] == pytest.approx(0.5 / (1.5 * math.log(2)))


def test_without_problems_there_is_no_arithmetic() -> None:
    metrics = exam_metrics(rows_of(("", "", [1, 2], 1.0)), seed=0)
    assert not any(name.startswith("arithmetic") for name in metrics)


@pytest.mark.slow
def test_a_host_that_has_learned_the_chain_is_marked_right(passages) -> None:
    """Trained on a few passages until it knows them by heart: answers are read as written."""
    host = WORLD_HOSTS["toy-qwen2p5-0p5b"]
    few = [passage for passage in passages[:40] if passage.facts["answer"]][:4]
    texts = [f"{passage.text} {task_of(passage)}" for passage in passages[:200]]
    tokenizer = trained_tokenizer(host.tokenizer, texts)
    config = tiny_config(
        pool_host(host.stands_for),
        width=64,
        num_blocks=2,
        num_heads=4,
        vocab_size=len(tokenizer),
        max_positions=512,
        special_ids=special_ids(tokenizer),
    )
    model = fresh_model(config, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batch = tokenizer(
        [f"{task_of(p)}{tokenizer.eos_token}" for p in few], return_tensors="pt", padding=True
    )
    labels_BT = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for _ in range(120):
        optimizer.zero_grad()
        model(**batch, labels=labels_BT).loss.backward()
        optimizer.step()
    rows = exam_rows(model.eval(), tokenizer, few).to_pylist()
    assert [row["answered"] for row in rows] == [passage.facts["answer"] for passage in few]
    assert exam_metrics(pa.Table.from_pylist(rows), seed=0)["arithmetic"] == 1.0
