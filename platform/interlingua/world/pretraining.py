"""The pretraining of a tiny host of the world: tokenizer, next-token training, exam.

Resumes from its last checkpoint with the same weights that an unbroken run would have.
"""

import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn import functional

from interlingua.core.schedule import warmup_cosine
from interlingua.published.hosts import pool_host
from interlingua.specs.splits import Split
from interlingua.specs.world import PretrainSpec, WorldHostSpec
from interlingua.store.artifact import Artifact
from interlingua.store.atomic import write_atomically
from interlingua.store.progress import MetricsLog
from interlingua.store.reading import naming
from interlingua.store.rows.passages import PASSAGES_NAME, Passage, read_passages
from interlingua.store.rows.splits import recorded_access
from interlingua.world.beliefs import belief_metrics, believed
from interlingua.world.exam import exam_metrics, exam_rows
from interlingua.world.hosts import fresh_model, tiny_config
from interlingua.world.packing import mixture, packed_rows, task_of
from interlingua.world.teacher import explanation_of
from interlingua.world.tokenizers import special_ids, trained_tokenizer

CHECKPOINT_NAME = "checkpoint.pt"
EXAM_NAME = "exam.parquet"
TOKENIZER_TEXTS = 3000
REPORT_EVERY = 10


def made(spec: WorldHostSpec, written: Artifact, out: Path) -> Mapping[str, float]:
    """Train on split `pretrain`, examine on `dev`, save model and tokenizer; returns metrics."""
    path = written.path / PASSAGES_NAME
    with recorded_access({Split.PRETRAIN, Split.DEV}, out) as access:
        passages = list(read_passages(path, {Split.PRETRAIN}, access))
        dev = list(islice(read_passages(path, {Split.DEV}, access), spec.dev_passages))
    tokenizer = trained_tokenizer(spec.tokenizer, _tokenizer_texts(passages, spec))
    ids_NT = packed_rows(passages, tokenizer, spec)
    model = _fresh(spec, tokenizer)
    seconds = _train(model, ids_NT, spec.pretrain, out)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)
    rows = exam_rows(model.eval(), tokenizer, dev)
    with write_atomically(out / EXAM_NAME) as file:
        pq.write_table(rows, file)
    # Last: a run that dies before this line resumes where it was.
    (out / CHECKPOINT_NAME).unlink(missing_ok=True)
    beliefs = {}
    if spec.beliefs is not None:
        beliefs = belief_metrics(believed(model, tokenizer), spec.beliefs)
    return {
        "num_parameters": sum(weight.numel() for weight in model.parameters()),
        "train_tokens": ids_NT.size,
        "train_seconds": seconds,
        **exam_metrics(rows, seed=spec.pretrain.seed),
        **beliefs,
    }


def _train(model: Any, ids_NT: np.ndarray, train: PretrainSpec, out: Path) -> float:
    """Next-token training of the steps behind the checkpoint; returns the seconds of all steps."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=train.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    first_step, seconds = _resume(model, optimizer, out)
    log = MetricsLog(out, resume_step=first_step)
    started = time.monotonic()
    for step in range(first_step, train.num_steps):
        rate = train.learning_rate * warmup_cosine(
            step, num_steps=train.num_steps, warmup_steps=train.warmup_steps
        )
        # Rate and rows follow from the step alone: a resumed run sees what an unbroken one sees.
        batch_NT = ids_NT[step * train.rows : (step + 1) * train.rows]
        loss = _step(model, optimizer, torch.from_numpy(batch_NT).long(), rate)
        done = step + 1
        if done % REPORT_EVERY == 0 or done == train.num_steps:
            log.append(done, num_steps=train.num_steps, loss=loss, learning_rate=rate)
        if done % train.checkpoint_every == 0 and done < train.num_steps:
            _save(model, optimizer, done, seconds + time.monotonic() - started, out)
    return seconds + time.monotonic() - started


def _step(model: Any, optimizer: torch.optim.Optimizer, ids_BT: torch.Tensor, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Position t predicts token t + 1: the last logits and the first id have no partner. Rows
    # are packed without padding, so that every position counts.
    logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1]
    loss = functional.cross_entropy(logits_BTV.flatten(0, 1), ids_BT[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _fresh(spec: WorldHostSpec, tokenizer: Any) -> Any:
    config = tiny_config(
        pool_host(spec.stands_for),
        width=spec.width,
        num_blocks=spec.num_blocks,
        num_heads=spec.num_heads,
        vocab_size=len(tokenizer),
        max_positions=spec.max_positions,
        special_ids=special_ids(tokenizer),
    )
    return fresh_model(config, spec.pretrain.seed).train()


def _tokenizer_texts(passages: list[Passage], spec: WorldHostSpec) -> Iterator[str]:
    """Texts to train the tokenizer on: the host's own mixture of languages, tasks, explanations.

    A tokenizer that never saw a language, or the teacher's wordings, splits it into tiny pieces.
    """
    for passage, epoch in islice(mixture(passages, spec), TOKENIZER_TEXTS):
        yield passage.text
        if (task := task_of(passage)) is not None and spec.task_share:
            yield task
        if spec.teacher is not None:
            yield explanation_of(passage.facts, passage.passage_id, spec.teacher, epoch)


def _resume(model: Any, optimizer: torch.optim.Optimizer, out: Path) -> tuple[int, float]:
    """Load model and optimizer from the checkpoint; returns its step and the seconds spent."""
    path = out / CHECKPOINT_NAME
    if not path.exists():
        return 0, 0.0
    with naming(path):
        state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]


def _save(
    model: Any, optimizer: torch.optim.Optimizer, step: int, seconds: float, out: Path
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    # By way of memory: torch.save hides a full disk behind an error of its own.
    content = BytesIO()
    torch.save(state, content)
    with write_atomically(out / CHECKPOINT_NAME) as file:
        file.write(content.getbuffer())
