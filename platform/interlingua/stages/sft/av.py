"""The AV's training: an activation in a prompt, the teacher's explanation as the answer.

h is a raw activation [D] of a host, v [E] its vector in the shared space; T counts response tokens.
Knows neither who steps the weights nor on how many ranks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from interlingua.core.metrics import derangement
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import check_speaks, contract_of, fresh_verbalizer
from interlingua.models.pair.prompts import av_prompt, response_ids
from interlingua.models.pair.trained import put_start
from interlingua.specs.splits import Split
from interlingua.specs.training import AvTraining
from interlingua.stages.maps.space import opened_space
from interlingua.stages.rows.keyed import KeyedRows, keyed_choice, opened_rows
from interlingua.stages.sft.av_learner import (
    VECTORS,
    AvBatch,
    AvLearner,
    made_batch,
    nll_rows,
    with_others,
)
from interlingua.stages.sft.batches import Draws, Texts
from interlingua.stages.sft.best_weights import AV_PREFIX, weights_of
from interlingua.stages.sft.engine import ParamGroup
from interlingua.stages.sft.job import TrainingJob
from interlingua.stages.sft.loop import Placed, Rows, Share
from interlingua.store.hosts import opened_from
from interlingua.store.rows.explanations import read_explanations
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess


class AvProgram:
    """The batches that an AV learns from, by step, and its evaluation on `dev`."""

    def __init__(self, job: TrainingJob) -> None:
        spec: AvTraining = job.spec
        self._spec, self._tags, self._device = spec.av, spec.host_tags, job.device
        self.num_steps, self.batch_rows = spec.av.num_steps, spec.av.batch_rows
        self.optim, self.watch, self.seed = spec.av.optim, spec.av.watch, spec.av.seed
        self._access = SplitAccess({Split.AV_SFT, Split.DEV})
        source, revision = opened_from(job.inputs.trunk)
        tokenizer = load_tokenizer(source, revision=revision)
        self.module = _learner(job, source, revision, tokenizer)
        self._texts, self._dev_texts = (
            Texts(
                read_explanations(artifact.path, {split}, self._access),
                # With tags and end of text: both are learned, and count towards the limit.
                lambda text: response_ids(tokenizer, text),
                spec.av.max_response_tokens,
            )
            for artifact, split in (
                (job.inputs.explanations, Split.AV_SFT),
                (job.inputs.dev_explanations, Split.DEV),
            )
        )
        self._rows = {
            tag: opened_rows(job.inputs.hosts[tag].rows, [Split.AV_SFT], self._access)
            for tag in self._tags
        }
        self._draws = {
            tag: Draws(self._learned(rows), seed=self.seed, name=tag)
            for tag, rows in self._rows.items()
        }
        self._dev = self._dev_batches(job)
        # Of the largest: under ZeRO 3 all ranks must call every module as often as each other.
        self._num_parts = max(
            self.module.verbalizer.num_parts(batch.response_BT.numel()) for batch in self._dev
        )

    def groups(self) -> list[ParamGroup]:
        """Trunk, affine maps and encoders, each at its own rate."""
        spec, parts = self._spec, self.module
        affine = parts.verbalizer.affine
        groups: list[tuple[nn.Module, float]] = [(parts.verbalizer.trunk, spec.optim.learning_rate)]
        if affine is not None:
            groups.append((affine, spec.affine_learning_rate or spec.optim.learning_rate))
        if spec.encoder_learning_rate is not None:
            groups.append((parts.space, spec.encoder_learning_rate))
        return [
            # Under LoRA nearly all of the trunk is frozen: an optimizer must not hold it.
            ParamGroup([w for w in part.parameters() if w.requires_grad], rate)
            for part, rate in groups
        ]

    def micro_batches(self, step: int, share: Share) -> list[AvBatch]:
        """The rows of a step, of one host, in batches of like length; hosts take turns by step."""
        turn, place = divmod(step, len(self._tags))
        tag, size = self._tags[place], self.batch_rows
        # By the host's own turns, so that no key is skipped while other hosts have theirs.
        drawn = self._draws[tag].draw(turn * size, size)
        rows = [(key, self._texts.ids_of(key, epoch)) for key, epoch in drawn]
        # Over the tokens of all ranks: a mean within a micro-batch would count tokens of short
        # texts more. Times world_size, because engines take the mean over ranks.
        weight = share.world_size / sum(len(ids) for _, ids in rows)
        mine = sorted(rows[share.rank :: share.world_size], key=lambda row: len(row[1]))
        starts = range(0, len(mine), share.micro_batch_rows)
        return [
            self._batch(tag, mine[start : start + share.micro_batch_rows], weight)
            for start in starts
        ]

    def dev_batches(self) -> list[AvBatch]:
        """Rows of every host, each with another passage's vector beside its own."""
        return self._dev

    def dev_rows(self, batch: AvBatch) -> Placed:
        """The loss of every row under its own vector, another's, and none."""
        return nll_rows(self.module, batch, num_parts=self._num_parts)

    def summarized(self, rows: Rows) -> dict[str, float]:
        """The mean NLL of a token under the three kinds of vectors; `score` is the real one's."""
        num_tokens = sum(row["num_tokens"] for row in rows)
        means = {
            f"nll_{name}": sum(row[f"nll_{name}"] for row in rows) / num_tokens for name in VECTORS
        }
        return {"score": means["nll_real"], **means}

    def counts(self) -> dict[str, int]:
        """Counts of the explanations, and of those that could not be used."""
        return dict(self._texts.counts)

    def _learned(self, rows: KeyedRows) -> list[Key]:
        """The keys of a host that are learned from."""
        keys = [key for key in rows.finite_keys() if key in self._texts]
        if self._spec.train_rows is None:
            return keys
        if len(keys) < self._spec.train_rows:
            raise ValueError(
                f"av.train_rows is {self._spec.train_rows}; a host has {len(keys)} rows with an "
                "explanation to learn from"
            )
        return keyed_choice(keys, self._spec.train_rows, seed=self.watch.seed)

    def _batch(self, tag: str, rows: Sequence[tuple[Key, Sequence[int]]], weight: float) -> AvBatch:
        keys = tuple(key for key, _ in rows)
        h_BD = self._rows[tag].vectors(keys)
        return made_batch(tag, keys, h_BD, [ids for _, ids in rows], weight, device=self._device)

    def _dev_batches(self, job: TrainingJob) -> list[AvBatch]:
        batches = []
        for turn, tag in enumerate(self._tags):
            rows = opened_rows(job.inputs.hosts[tag].dev, [Split.DEV], self._access)
            keys = keyed_choice(
                [key for key in rows.finite_keys() if key in self._dev_texts],
                self.watch.dev_rows,
                seed=self.watch.seed,
            )
            other_N = derangement(np.array([key[0] for key in keys]), seed=self.watch.seed)
            batches += with_others(
                turn,
                rows,
                keys,
                [self._dev_texts.ids_of(key, 0) for key in keys],
                [keys[other] for other in other_N],
                most_rows=job.micro_batch_rows,
                device=self._device,
            )
        return batches


def _learner(job: TrainingJob, source: str, revision: str | None, tokenizer: Any) -> AvLearner:
    """The module as training begins."""
    spec: AvTraining = job.spec
    space = opened_space(
        job.inputs.encoders(),
        anchor=spec.anchor,
        centring=spec.av.injection.centring,
        is_trained=spec.av.encoder_learning_rate is not None,
    )
    if job.inputs.start_model is not None:
        # Later it is opened on the trunk, whose make is the same: all weights are then its own.
        source, revision = opened_from(job.inputs.start_model)
    verbalizer = fresh_verbalizer(source, spec.av, revision=revision, device=job.device)
    if job.inputs.start is not None:
        put_start(verbalizer, weights_of(job.inputs.start, AV_PREFIX))
    contract = contract_of(tokenizer, space.width, av=spec.av)
    embedding = verbalizer.trunk.model.get_input_embeddings()
    check_speaks(tokenizer, contract, len(embedding.weight))
    prompts = {tag: av_prompt(contract, tokenizer, tag) for tag in spec.host_tags}
    return AvLearner(verbalizer, space, prompts)
