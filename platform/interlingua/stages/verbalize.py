"""Stage `verbalized`: what the trained pair makes of one host's rows, block by block.

On `fit` the AV's samples, from which the decoder is fitted; on `dev` samples and greedy texts.
A finished block is never redone.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlingua.specs.splits import Split
from interlingua.specs.training import VerbalizeSpec
from interlingua.stages.backend import Context
from interlingua.stages.corpus import keyed_choice, opened_rows
from interlingua.stages.pair import opened_listener, opened_speaker
from interlingua.store.artifact import Artifact
from interlingua.store.explanations import Key
from interlingua.store.lock import held_token, verify_token
from interlingua.store.progress import MetricsLog
from interlingua.store.splits import SplitAccess, recorded_access
from interlingua.store.verbalized import VERBALIZED, Verbalized, block_path, write_block

SAMPLED, GREEDY = "sampled", "greedy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker must know to verbalize blocks of one host."""

    spec: VerbalizeSpec
    inputs: Mapping[str, Artifact]
    out: Path
    token: str
    device: str
    batch_rows: int
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are verbalized together, in one manner."""

    index: int
    split: Split
    manner: str
    keys: tuple[Key, ...]


def run(
    spec: VerbalizeSpec, inputs: Mapping[str, Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Verbalize every block that is not done yet; the metrics count what came out."""
    place = context.placement.verbalizing
    job = Job(
        spec=spec,
        inputs=inputs,
        out=out,
        token=held_token(out),
        device=place.device,
        batch_rows=place.batch_rows,
        threads=context.placement.threads_per_worker,
    )
    (out / VERBALIZED).mkdir(exist_ok=True)
    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        blocks = list(_blocks(spec, inputs, access, place.block_rows))
        for block in blocks:
            for passage_id, _ in block.keys:
                access.consume(passage_id, block.split)
    missing = [block for block in blocks if not block_path(out, block.index).exists()]
    log, done, started = (
        MetricsLog(out, resume_step=0),
        len(blocks) - len(missing),
        time.monotonic(),
    )
    counts: Counter[str] = Counter()
    for block_counts in context.pool.map(BlockVerbalizer, job, missing, place.workers):
        counts.update(block_counts)
        done += 1
        speed = counts["num_tokens"] / (time.monotonic() - started)
        log.append(done, num_steps=len(blocks), tokens_per_second=speed)
    return dict(counts)


class BlockVerbalizer:
    """A worker: opens the pair once, then verbalizes block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self._job = job
        self._speaker, self._space = opened_speaker(
            job.inputs, job.spec.host_tag, device=job.device, batch_rows=job.batch_rows
        )
        self._listener = opened_listener(job.inputs, device=job.device, batch_rows=job.batch_rows)
        self._access = SplitAccess({Split.FIT, Split.DEV})
        self._rows = {
            split: opened_rows(job.inputs[split], [split], self._access)
            for split in (Split.FIT, Split.DEV)
        }

    def __call__(self, block: Block) -> Mapping[str, int]:
        """Verbalize and rebuild the block, store it; returns its counts."""
        import torch

        from interlingua.models.prompts import explanation_in

        spec = self._job.spec
        started = time.process_time()
        h_ND = self._rows[block.split].vectors(block.keys)
        with torch.no_grad():
            v_NE = self._space(spec.host_tag, torch.from_numpy(h_ND))
        sampling = spec.sampled if block.manner == SAMPLED else spec.greedy
        names = [f"{spec.host_tag}|{passage_id}|{place}" for passage_id, place in block.keys]
        said = self._speaker.say(spec.host_tag, v_NE, names, sampling)
        rows = [
            Verbalized(
                passage_id=passage_id,
                position=position,
                split=block.split,
                manner=block.manner,
                sample=sample,
                text=decoded.text,
                explanation=explanation_in(decoded.text) if decoded.is_closed else None,
                num_tokens=len(decoded.ids),
                log_prob=sum(decoded.log_probs),
            )
            for (passage_id, position), samples in zip(block.keys, said, strict=True)
            for sample, decoded in enumerate(samples)
        ]
        a_NE = self._listener.hear([row.explanation for row in rows])
        verify_token(self._job.out, self._job.token)
        write_block(block_path(self._job.out, block.index), rows, a_NE)
        return {
            "num_rows": len(rows),
            "num_unparsable": sum(row.explanation is None for row in rows),
            "num_tokens": sum(row.num_tokens for row in rows),
            "cpu_ms": round(1000 * (time.process_time() - started)),
        }


def _blocks(
    spec: VerbalizeSpec, inputs: Mapping[str, Artifact], access: SplitAccess, block_rows: int
) -> Iterator[Block]:
    fit, dev = (
        opened_rows(inputs[split], [split], access).finite_keys()
        for split in (Split.FIT, Split.DEV)
    )
    chosen = keyed_choice(dev, spec.dev_rows, seed=spec.sampled.seed)
    index = 0
    for split, manner, keys in (
        (Split.FIT, SAMPLED, fit), (Split.DEV, SAMPLED, chosen), (Split.DEV, GREEDY, chosen),
    ):  # fmt: skip
        for start in range(0, len(keys), block_rows):
            yield Block(index, split, manner, tuple(keys[start : start + block_rows]))
            index += 1
