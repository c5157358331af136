"""A worker that explains: it opens its model once, then goes through block after block of sites."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from interlingua.sources.source import Site, teacher_of
from interlingua.specs.splits import Split
from interlingua.specs.teachers import LocalTeacher
from interlingua.store.blocks import begin_block, digest_of, end_block
from interlingua.store.peak import note_peak
from interlingua.store.rows.explanations import Explanation, write_rows
from interlingua.store.rows.passages import Passage

BLOCKS_FOLDER = "blocks"
NUM_SITES = "num_sites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that opens the teacher: stages whose jobs are equal may share a worker."""

    teacher: LocalTeacher
    num_samples: int
    source: str
    revision: str | None
    device: str
    batch_rows: int
    threads: int


@dataclass(frozen=True, slots=True)
class Block:
    """Sites that are explained together, and the folder of the stage whose rows they become."""

    index: int
    asked: tuple[tuple[Passage, Site], ...]
    out: Path  # named after the lock's owner: an orphan of a lost stage does not find it

    @property
    def digest(self) -> str:
        """A hash of which sites these are."""
        return digest_of(*(f"{one.passage_id}|{site.position}" for one, site in self.asked))


class BlockTeacher:
    """A worker: opens the model once, then explains block after block."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        self._job = job
        self._teacher = teacher_of(
            job.teacher,
            source=job.source,
            revision=job.revision,
            device=job.device,
            batch_rows=job.batch_rows,
        )

    def __call__(self, block: Block) -> Mapping[str, int]:
        """Explain the block and store it; returns its counts."""
        before = dict(self._teacher.counts())
        rows = list(self._explained(block))
        of_block = {name: count - before[name] for name, count in self._teacher.counts().items()}
        counts = {NUM_SITES: len(block.asked), "num_rows": len(rows), **of_block}
        # In this order: a crash anywhere leaves a block without a note, which is made again.
        begin_block(block.out, block.index)
        write_rows(block_path(block.out, block.index), rows)
        end_block(block.out, block.index, block.digest, counts)
        note_peak(block.out)
        return counts

    def _explained(self, block: Block) -> Iterator[Explanation]:
        found = self._teacher.explain(block.asked, self._job.num_samples)
        for (passage, site), texts in zip(block.asked, found, strict=True):
            for sample, (name, text) in enumerate(texts):
                yield Explanation(
                    passage_id=passage.passage_id,
                    position=site.position,
                    sample=sample,
                    split=Split(passage.split),
                    teacher=name,
                    text=text,
                )


def blocks_of(asked: Iterator[tuple[Passage, Site]], block_rows: int, out: Path) -> Iterator[Block]:
    """Blocks of `block_rows` sites, in the order of the passages."""
    index = 0
    # Cut by number, so that a block's index and size fix its sites; its digest proves it.
    while block := tuple(islice(asked, block_rows)):
        yield Block(index, block, out)
        index += 1


def block_path(out: Path, index: int) -> Path:
    """The file of a block's rows."""
    return out / BLOCKS_FOLDER / f"{index:06d}.parquet"
