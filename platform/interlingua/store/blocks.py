"""Notes of the blocks of a stage's work that are done, each written after the block's output.

A note says what the block was made of, so that one of another size, from before the placement
changed, is not taken for it; and what was counted, so that a record counts every attempt's blocks.
Knows no stage.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from interlingua.store.atomic import write_atomically

DONE_FOLDER = "done"


class Block(Protocol):
    """Work that is done as a whole, and the folder of the stage that it is for."""

    @property
    def index(self) -> int:
        """The number of the block in the stage's order."""

    @property
    def out(self) -> Path:
        """The folder of the stage."""

    @property
    def digest(self) -> str:
        """A hash of what the block is made of."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def digest_of(*parts: str) -> str:
    """A hash of what a block is made of."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def done_counts(out: Path, index: int, digest: str) -> Mapping[str, int] | None:
    """The counts of this block; None where it is not done, or was made of something else."""
    path = _path(out, index)
    if not path.exists():
        return None
    done = json.loads(path.read_bytes())
    counts: Mapping[str, int] = done["counts"]
    return counts if done["digest"] == digest else None


def not_done(blocks: Iterable[AnyBlock], counts: Counter[str]) -> Iterator[AnyBlock]:
    """The blocks that are left to do; the counts of the others are added."""
    for block in blocks:
        done = done_counts(block.out, block.index, block.digest)
        if done is None:
            yield block
        else:
            counts.update(done)


def begin_block(out: Path, index: int) -> None:
    """Forget an earlier note: it must not vouch for the output that comes now."""
    _path(out, index).unlink(missing_ok=True)


def end_block(out: Path, index: int, digest: str, counts: Mapping[str, int]) -> None:
    """Note that the block's output is stored."""
    with write_atomically(_path(out, index)) as file:
        file.write(json.dumps({"digest": digest, "counts": dict(counts)}).encode())


def keep_blocks(out: Path, num_blocks: int, *outputs: str) -> None:
    """Remove notes and outputs behind the last block, of an attempt with smaller ones.

    Outputs are patterns of files whose stems end with the number of a block.
    """
    # A block that stayed behind the last would be read as rows of this artifact.
    for pattern in (f"{DONE_FOLDER}/*", *outputs):
        for path in out.glob(pattern):
            # 000012 as well as shard-000012: without a dash the whole stem is the number.
            if int(path.stem.rpartition("-")[2]) >= num_blocks:
                path.unlink()


def _path(out: Path, index: int) -> Path:
    return out / DONE_FOLDER / f"{index:06d}.json"
