"""Exam of a world host: loss and answers, one row a passage. Knows no training.

Numbers are computed from the rows alone, so that anybody can compute them again.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interlingua.core.statistics import ratio_of_sums, wilson_share
from interlingua.store.rows.passages import Passage

MAX_CHAIN_TOKENS = 48  # the longest chain takes 40 tokens where every character is one
_ANSWER = re.compile(r"####\s*(\d+)")


def exam_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    passages: Sequence[Passage],
    *,
    batch_size: int = 32,
) -> pa.Table:
    """One row a passage: tokens scored, their total NLL, their ids, and the answer given."""
    rows: dict[str, dict[str, Any]] = {
        passage.passage_id: {
            "passage_id": passage.passage_id,
            "language": passage.facts["language"],
            "answer": passage.facts["answer"],
            "answered": "",
        }
        for passage in passages
    }
    for batch in _by_length(passages, tokenizer, batch_size):
        for passage, scored_ids, nll in _scored(model, tokenizer, batch):
            rows[passage.passage_id] |= {"scored_ids": scored_ids, "nll": nll}
    with_problem = [passage for passage in passages if passage.facts["answer"]]
    for batch in _by_length(with_problem, tokenizer, batch_size):
        for passage, answered in _answered(model, tokenizer, batch):
            rows[passage.passage_id]["answered"] = answered
    return pa.Table.from_pylist(list(rows.values()))


def exam_metrics(rows: pa.Table, *, seed: int) -> dict[str, float]:
    """Loss against the unigram entropy, perplexity, and the share of problems solved."""
    columns = rows.to_pydict()
    lengths_N = np.array([len(ids) for ids in columns["scored_ids"]], dtype=np.float64)
    nll = ratio_of_sums(np.array(columns["nll"]), lengths_N, seed=seed)
    # Of the very tokens that are scored: no model without context can have a lower loss on them.
    entropy = _entropy(Counter(i for ids in columns["scored_ids"] for i in ids))
    metrics = {
        **nll.as_metrics("dev_nll"),
        "unigram_entropy": entropy,
        "nll_over_entropy": nll.value / entropy,
        "perplexity": float(np.exp(nll.value)),
        "tokens_per_passage": float(lengths_N.mean()),
    }
    pairs = zip(columns["answer"], columns["answered"], strict=True)
    problems = [(answer, answered) for answer, answered in pairs if answer]
    if problems:
        num_right = sum(answer == answered for answer, answered in problems)
        metrics |= wilson_share(num_right, len(problems)).as_metrics("arithmetic")
        # What always saying the most common answer would score.
        commonest = Counter(answer for answer, _ in problems).most_common(1)[0][1]
        metrics["arithmetic_constant_answer"] = commonest / len(problems)
    return metrics


def _entropy(counts: Counter[int]) -> float:
    shares = np.array(list(counts.values()), dtype=np.float64) / counts.total()
    return float(-(shares * np.log(shares)).sum())


def _by_length(
    passages: Sequence[Passage], tokenizer: PreTrainedTokenizerBase, batch_size: int
) -> Iterator[list[Passage]]:
    ordered = sorted(passages, key=lambda passage: (len(passage.text), passage.passage_id))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]


@torch.no_grad()
def _scored(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: list[Passage]
) -> Iterator[tuple[Passage, list[int], float]]:
    texts = [passage.text for passage in batch]
    # Right padding: a causal model's scores of a text do not depend on what stands behind it.
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
    ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
    logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits[:, :-1]
    # Logits at t are of token t + 1. The first token is scored nowhere, a BOS where there is one.
    targets_BT = ids_BT[:, 1:]
    log_probs_BT = logits_BTV.log_softmax(-1).gather(-1, targets_BT[..., None])[..., 0]
    for passage, log_probs_T, targets_T, mask_T in zip(
        batch, log_probs_BT, targets_BT, mask_BT[:, 1:].bool(), strict=True
    ):
        yield passage, targets_T[mask_T].tolist(), -log_probs_T[mask_T].double().sum().item()


@torch.no_grad()
def _answered(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: list[Passage]
) -> Iterator[tuple[Passage, str]]:
    questions = [passage.facts["question"] for passage in batch]
    # Left padding: every question must end where the first new token is drawn.
    inputs = tokenizer(questions, return_tensors="pt", padding=True, padding_side="left")
    ids_BT = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=MAX_CHAIN_TOKENS,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    new_ids_BT = ids_BT[:, inputs["input_ids"].shape[1] :]
    for passage, text in zip(
        batch, tokenizer.batch_decode(new_ids_BT, skip_special_tokens=True), strict=True
    ):
        found = _ANSWER.search(text)
        yield passage, found.group(1) if found else ""
