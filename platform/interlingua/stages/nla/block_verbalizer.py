"""A worker that verbalizes: it opens the pair once, then goes through block after block of rows.

h is a raw activation [D], v its vector in the shared space, a [E] the AR's vector of a text.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interlingua.core.metrics import derangement
from interlingua.specs.evaluation import Predictor
from interlingua.specs.generation import Turn, VerbalizeSpec
from interlingua.specs.placement import VerbalizingPlacement
from interlingua.specs.splits import Split
from interlingua.specs.text.canonical import canonical_json
from interlingua.stages.nla.inputs import PairInputs, ServedPair
from interlingua.stages.nla.opened_pair import HostJob, reader_of, writer_of
from interlingua.stages.rows.keyed import keyed_choice, opened_rows
from interlingua.store.artifact import Artifact
from interlingua.store.blocks import (
    begin_block,
    digest_of,
    end_block,
)
from interlingua.store.peak import note_peak
from interlingua.store.rows.passages import PASSAGES_NAME, documents_of
from interlingua.store.rows.shards import Key
from interlingua.store.rows.splits import SplitAccess
from interlingua.store.rows.verbalized import Verbalized, block_path, write_block


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker needs to verbalize blocks of one host."""

    spec: VerbalizeSpec
    pair: PairInputs[Artifact] | ServedPair[Artifact]
    rows: Mapping[Split, Artifact]
    encoders: Mapping[str, Artifact]
    out: Path  # named after the lock's owner: an orphan of a lost stage does not find it
    place: VerbalizingPlacement
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one turn that are verbalized together, and the rows whose vectors the AV is given.

    `sources` are the keys themselves, those of other passages, or None for the zero vector.
    """

    index: int
    turn: Turn
    keys: tuple[Key, ...]
    sources: tuple[Key, ...] | None  # None: the zero vector

    @property
    def digest(self) -> str:
        """A hash of which rows these are, and of what is asked about them."""
        return digest_of(canonical_json(self.turn), repr(self.keys), repr(self.sources))


class BlockVerbalizer:
    """A worker: opens the pair once, then verbalizes block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self._job = job
        self._writer = writer_of(
            HostJob(
                host_tag=job.spec.host_tag, pair=job.pair, encoders=job.encoders, place=job.place
            )
        )
        self._reader = reader_of(job.pair, job.place)
        self._access = SplitAccess(job.rows)
        self._rows = {
            split: opened_rows(artifact, [split], self._access)
            for split, artifact in job.rows.items()
        }

    def __call__(self, block: Block) -> Mapping[str, int]:
        """Verbalize and rebuild the block, store it; returns its counts."""
        started = time.process_time()
        rows = self._sampled(block)
        a_NE = self._reader.reconstruct([row.explanation for row in rows])
        # A text without an explanation stays a row, with a vector of NaN: failures must count.
        counts = {
            "num_rows": len(rows),
            "num_unparsable": sum(row.explanation is None for row in rows),
            "num_tokens": sum(row.num_tokens for row in rows),
            "cpu_ms": round(1000 * (time.process_time() - started)),
        }
        # In this order: a crash anywhere leaves a block without a note, which is made again.
        begin_block(self._job.out, block.index)
        write_block(block_path(self._job.out, block.index), rows, a_NE)
        end_block(self._job.out, block.index, block.digest, counts)
        note_peak(self._job.out)
        return counts

    def _sampled(self, block: Block) -> list[Verbalized]:
        turn, tag = block.turn, self._job.spec.host_tag
        # No predictor in the name: those of one seed draw the same random numbers, and are paired.
        names = [f"{tag}|{passage_id}|{place}" for passage_id, place in block.keys]
        samples_of_rows = self._writer.verbalize(self._vectors(block), names, turn)
        return [
            Verbalized(
                passage_id=passage_id,
                position=position,
                split=turn.split,
                predictor=turn.predictor,
                sample=sample,
                text=one.raw_text,
                explanation=one.explanation,
                num_tokens=one.num_tokens or 0,
                log_prob=one.log_prob,
            )
            for (passage_id, position), samples in zip(block.keys, samples_of_rows, strict=True)
            for sample, one in enumerate(samples)
        ]

    def _vectors(self, block: Block) -> np.ndarray | None:
        """[N, D]: h of every row, or of the row that the turn's predictor puts in its place."""
        if block.sources is None:
            return None
        return self._rows[block.turn.split].vectors(block.sources)


def blocks_of(
    spec: VerbalizeSpec,
    rows: Mapping[Split, Artifact],
    passages: Artifact | None,
    access: SplitAccess,
    *,
    block_rows: int,
) -> Iterator[Block]:
    """Blocks of up to `block_rows` rows, turn after turn."""
    found = {
        split: opened_rows(artifact, [split], access).finite_keys()
        for split, artifact in rows.items()
    }
    index = 0
    for turn in spec.turns:
        keys = found[turn.split]
        if turn.rows is not None:
            # One seed for all turns: every predictor is asked about the same rows.
            keys = keyed_choice(keys, turn.rows, seed=spec.seed)
        sources = _sources(turn, keys, spec.seed, passages, access)
        # Sources are paired over all rows of a turn before they are cut: another block size
        # changes no pairing.
        for start in range(0, len(keys), block_rows):
            part = slice(start, start + block_rows)
            mine = None if sources is None else tuple(sources[part])
            yield Block(index, turn, tuple(keys[part]), mine)
            index += 1


def _sources(
    turn: Turn, keys: Sequence[Key], seed: int, passages: Artifact | None, access: SplitAccess
) -> Sequence[Key] | None:
    """The row whose vector each row is given; None for the zero vector."""
    if turn.predictor is Predictor.ZERO_VECTOR:
        return None
    if turn.predictor is not Predictor.SHUFFLED_VECTORS:
        return keys
    if passages is None:
        raise ValueError(
            f"VerbalizeInputs.passages is None, but a turn is {turn.predictor}: give the passages, "
            "which say what rows are of one document"
        )
    ids = [passage_id for passage_id, _ in keys]
    # By document: the vector of its next passage would be nearly the right one.
    documents = documents_of(passages.path / PASSAGES_NAME, ids, turn.split, access)
    other_N = derangement(np.array([documents[one] for one in ids]), seed=seed)
    return [keys[other] for other in other_N]
