"""Stage `verbalized`: what the trained pair makes of one host's rows, block by block.

On `fit` the AV's samples, from which the decoder is fitted; on the split of an evaluation samples,
greedy texts, and what is said without the right vector. A finished block is never redone.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from interlingua.core.metrics import derangement
from interlingua.models.batched import BatchVerbalizer
from interlingua.specs.evaluation import Arm
from interlingua.specs.generation import Turn, VerbalizeSpec
from interlingua.specs.splits import Split
from interlingua.specs.text.canonical import canonical_json
from interlingua.stages.nla.pair import opened_reconstructor_of, opened_space_of, opened_verbalizer
from interlingua.stages.rows.keyed import keyed_choice, opened_rows
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact
from interlingua.store.blocks import (
    DONE_FOLDER,
    begin_block,
    digest_of,
    done_counts,
    end_block,
    keep_blocks,
)
from interlingua.store.peak import note_peak
from interlingua.store.progress import MetricsLog
from interlingua.store.rows.explanations import Key
from interlingua.store.rows.splits import SplitAccess, recorded_access
from interlingua.store.rows.verbalized import VERBALIZED, Verbalized, block_path, write_block


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker must know to verbalize blocks of one host."""

    spec: VerbalizeSpec
    inputs: Mapping[str, Artifact]
    out: Path  # named after the lock's owner: an orphan of a lost stage does not find it
    device: str
    batch_rows: int
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one turn that are verbalized together, and whose vectors the AV is given of them."""

    index: int
    turn: Turn
    keys: tuple[Key, ...]
    sources: tuple[Key, ...] | None  # None: the zero vector

    @property
    def digest(self) -> str:
        """A hash of which rows these are, and of what is asked about them."""
        return digest_of(canonical_json(self.turn), repr(self.keys), repr(self.sources))


def run(
    spec: VerbalizeSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Verbalize every block that is not done yet; the metrics count what came out."""
    place = context.placement.verbalizing
    job = Job(
        spec=spec,
        inputs=inputs,
        out=out,
        device=place.device,
        batch_rows=place.batch_rows,
        threads=context.placement.threads_per_worker,
    )
    for name in (VERBALIZED, DONE_FOLDER):
        (out / name).mkdir(exist_ok=True)
    with recorded_access(_splits(spec), out) as access:
        blocks = list(_blocks(spec, inputs, access, place.block_rows))
        for block in blocks:
            for passage_id, _ in (*block.keys, *(block.sources or ())):
                access.consume(passage_id, block.turn.split)
    found = [done_counts(out, block.index, block.digest) for block in blocks]
    missing = [block for block, done in zip(blocks, found, strict=True) if done is None]
    counts: Counter[str] = Counter()
    for done in filter(None, found):
        counts.update(done)
    num_done, num_before = len(blocks) - len(missing), counts["num_tokens"]
    log, started = MetricsLog(out, resume_step=0), time.monotonic()
    for block_counts in context.pool.map(BlockVerbalizer, job, missing, place.workers):
        counts.update(block_counts)
        num_done += 1
        speed = (counts["num_tokens"] - num_before) / (time.monotonic() - started)
        log.append(num_done, num_steps=len(blocks), tokens_per_second=speed)
    keep_blocks(out, len(blocks), f"{VERBALIZED}/*")
    return dict(counts)


class BlockVerbalizer:
    """A worker: opens the pair once, then verbalizes block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self._job = job
        self._verbalizers: dict[bool, BatchVerbalizer] = {}
        self._space = opened_space_of(job.inputs, job.spec.host_tag)
        self._reconstructor = opened_reconstructor_of(
            job.inputs, device=job.device, batch_rows=job.batch_rows
        )
        self._access = SplitAccess(_splits(job.spec))
        self._rows = {
            split: opened_rows(job.inputs[split], [split], self._access)
            for split in _splits(job.spec)
        }

    def __call__(self, block: Block) -> Mapping[str, int]:
        """Verbalize and rebuild the block, store it; returns its counts."""
        started = time.process_time()
        rows = self._sampled(block)
        a_NE = self._reconstructor.reconstruct([row.explanation for row in rows])
        counts = {
            "num_rows": len(rows),
            "num_unparsable": sum(row.explanation is None for row in rows),
            "num_tokens": sum(row.num_tokens for row in rows),
            "cpu_ms": round(1000 * (time.process_time() - started)),
        }
        begin_block(self._job.out, block.index)
        write_block(block_path(self._job.out, block.index), rows, a_NE)
        end_block(self._job.out, block.index, block.digest, counts)
        note_peak(self._job.out)
        return counts

    def _sampled(self, block: Block) -> list[Verbalized]:
        turn, tag = block.turn, self._job.spec.host_tag
        names = [f"{tag}|{passage_id}|{place}" for passage_id, place in block.keys]
        verbalizer = self._verbalizer(is_trained=turn.arm is not Arm.UNTRAINED)
        samples_of_rows = verbalizer.verbalize(tag, self._vectors(block), names, turn.sampling)
        return [
            Verbalized(
                passage_id=passage_id,
                position=position,
                split=turn.split,
                arm=turn.arm,
                sample=sample,
                text=decoded.text,
                explanation=decoded.explanation,
                num_tokens=len(decoded.ids),
                log_prob=sum(decoded.log_probs),
            )
            for (passage_id, position), samples in zip(block.keys, samples_of_rows, strict=True)
            for sample, decoded in enumerate(samples)
        ]

    def _vectors(self, block: Block) -> Tensor:
        """v of every row, or what the turn's arm puts in its place."""
        import torch

        if block.sources is None:
            return torch.zeros(len(block.keys), self._space.width)
        h_ND = self._rows[block.turn.split].vectors(block.sources)
        return torch.from_numpy(self._space.v_of(self._job.spec.host_tag, h_ND))

    def _verbalizer(self, *, is_trained: bool) -> BatchVerbalizer:
        if is_trained not in self._verbalizers:
            job = self._job
            self._verbalizers[is_trained] = opened_verbalizer(
                job.inputs, device=job.device, batch_rows=job.batch_rows, is_trained=is_trained
            )
        return self._verbalizers[is_trained]


def _splits(spec: VerbalizeSpec) -> list[Split]:
    return sorted({turn.split for turn in spec.turns})


def _blocks(
    spec: VerbalizeSpec, inputs: Mapping[str, Artifact], access: SplitAccess, block_rows: int
) -> Iterator[Block]:
    found = {
        split: opened_rows(inputs[split], [split], access).finite_keys() for split in _splits(spec)
    }
    index = 0
    for turn in spec.turns:
        keys = found[turn.split]
        if turn.rows is not None:
            keys = keyed_choice(keys, turn.rows, seed=spec.seed)
        sources = _sources(turn, keys, spec.seed)
        for start in range(0, len(keys), block_rows):
            part = slice(start, start + block_rows)
            mine = None if sources is None else tuple(sources[part])
            yield Block(index, turn, tuple(keys[part]), mine)
            index += 1


def _sources(turn: Turn, keys: Sequence[Key], seed: int) -> Sequence[Key] | None:
    """Of which row each row is given the vector."""
    if turn.arm is Arm.ZERO_VECTOR:
        return None
    if turn.arm is not Arm.SHUFFLED_VECTORS:
        return keys
    passages_N = np.array([passage_id for passage_id, _ in keys])
    return [keys[other] for other in derangement(passages_N, seed=seed)]
