"""Peak memory of extraction's worker and of the encoder's fit, each at two row counts.

    python -m bench.memory [--passages 1000 4000] [--rows 8000 32000]

Every run has a process of its own. Own memory is what the process must keep; its resident peak also
counts the mapped pages of shards, which the system drops when it needs room. The rows on disk stand
beside them: rows that were held would add as much.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from transformers import GPT2Config
from transformers.utils import logging

from bench.rounds import machine_lines, say
from bench.synthetic import draw_passages, save_host
from interlingua.recipes.parts import WORLD_FITTING
from interlingua.specs.extraction import ExtractSpec, TokenPositions
from interlingua.specs.splits import Split
from interlingua.stages.maps.encoder import Encoded, HostRows, anchor_encoder_stage, encoder_stage
from interlingua.stages.rows.block_reader import Block, BlockReader, Job
from interlingua.store.artifact import Artifact, Stage, build
from interlingua.store.rows.passages import Passage
from interlingua.store.rows.shards import (
    ShardHeader,
    block_folder,
    shard_path,
    shard_rows,
    write_shard,
)
from interlingua.store.rows.splits import recorded_access

BLOCK_INDEX, BLOCK_PASSAGES, POSITIONS = 1, 100, 32
FIT_WIDTH, ROWS_PER_SHARD, DEV_ROWS = 1024, 1000, 500
POLL_SECONDS = 0.005
MB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Of one process, in bytes."""

    resident: int
    own: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSpec:
    """Gaussian rows of one host for one split."""

    host_tag: str
    block_indices: tuple[int, ...]
    splits: tuple[Split, ...]
    num_rows: int


def main() -> None:
    """Run both at both sizes and print the table."""
    options = _options()
    _hush()
    say(
        "| path | rows | rows on disk, MB | own memory, MB | resident, MB |",
        "|---|---|---|---|---|",
    )
    for num_passages in options.passages:
        with TemporaryDirectory() as folder:
            save_host(Path(folder) / "host", _config())
            peak = _peak(_read_blocks, Path(folder), num_passages)
            say(_line("extraction's worker", Path(folder), num_passages * POSITIONS, peak))
    for num_rows in options.rows:
        with TemporaryDirectory() as folder:
            for rows in _hosts(num_rows):
                for stage in rows:
                    build(stage, Path(folder), None)
            peak = _peak(_fit_encoder, Path(folder), num_rows)
            say(_line("the fit of an encoder", Path(folder), 2 * num_rows, peak))
    say("", *machine_lines())


def _peak(run: Callable[[Path, int], None], folder: Path, size: int) -> Peak:
    """The most that a fresh process held at any time."""
    # Of the process itself, not from getrusage: there the child starts with its parent's peak.
    process = get_context("spawn").Process(target=run, args=(folder, size))
    process.start()
    resident = own = 0
    while process.is_alive():
        status = _status(Path(f"/proc/{process.pid}/status"))
        resident = max(resident, status.get("VmHWM", 0))
        own = max(own, status.get("RssAnon", 0))
        time.sleep(POLL_SECONDS)
    if process.exitcode:
        raise SystemExit(f"{run.__name__} at {size} ended with {process.exitcode}")
    return Peak(resident=resident, own=own)


def _status(path: Path) -> dict[str, int]:
    """The sizes that the system says of a process, in bytes; none when it has just ended."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}


def _line(name: str, folder: Path, num_rows: int, peak: Peak) -> str:
    stored = sum(path.stat().st_size for path in folder.rglob("shard-*"))
    sizes = " | ".join(f"{size / MB:.0f}" for size in (stored, peak.own, peak.resident))
    return f"| {name} | {num_rows} | {sizes} |"


def _read_blocks(folder: Path, num_passages: int) -> None:
    """What a worker does: one block of passages after the other, each to a shard."""
    _hush()
    out = folder / "rows.partial"
    block_folder(out, BLOCK_INDEX).mkdir(parents=True)
    (out / "done").mkdir()
    read = BlockReader(_job(folder / "host"))
    for block in _blocks(num_passages, out):
        read(block)


def _job(host: Path) -> Job:
    return Job(
        spec=ExtractSpec(
            host_tag="bench",
            block_indices=(BLOCK_INDEX,),
            read=TokenPositions(per_passage=POSITIONS, min_position=0, seed=0),
            max_tokens=256,
            dtype="float32",
            splits=(Split.FIT,),
        ),
        source=str(host),
        revision=None,
        device="cpu",
        batch_tokens=2048,
        threads=1,
    )


def _blocks(num_passages: int, out: Path) -> Iterator[Block]:
    """The same texts in every block, under other ids."""
    texts = [text for _, text in draw_passages(BLOCK_PASSAGES, _config().vocab_size).texts]
    for index in range(num_passages // BLOCK_PASSAGES):
        ids = _ids(index * BLOCK_PASSAGES, BLOCK_PASSAGES)
        yield Block(
            index,
            tuple(
                Passage(
                    passage_id=identity,
                    document_id=identity,
                    split=Split.FIT,
                    text=text,
                    facts={},
                    mentions=(),
                )
                for identity, text in zip(ids, texts, strict=True)
            ),
            out,
        )


def _config() -> GPT2Config:
    return GPT2Config(
        n_layer=2, n_embd=512, n_head=8, vocab_size=5000, bos_token_id=0, eos_token_id=0
    )


def _fit_encoder(root: Path, num_rows: int) -> None:
    """The encoder stage of one host, and before it that of the anchor."""
    own, anchor_rows = _hosts(num_rows)
    anchor = Encoded(anchor_rows, anchor_encoder_stage(WORLD_FITTING, anchor_rows))
    for stage in (anchor.encoder, encoder_stage(WORLD_FITTING, own, {"anchor": anchor}, anchor)):
        build(stage, root, None)


def _hosts(num_rows: int) -> list[HostRows]:
    """The rows of a host and of the anchor."""
    return [
        HostRows(
            fit=_rows_stage(tag, Split.FIT, num_rows), dev=_rows_stage(tag, Split.DEV, DEV_ROWS)
        )
        for tag in ("own", "anchor")
    ]


def _rows_stage(tag: str, split: Split, num_rows: int) -> Stage:
    spec = RowsSpec(host_tag=tag, block_indices=(BLOCK_INDEX,), splits=(split,), num_rows=num_rows)
    label = f"{tag}-{split}"
    return Stage(kind="activations", label=label, spec=spec, run=_write, inputs={}, revision=1)


def _write(
    spec: RowsSpec, inputs: Mapping[str, Artifact], out: Path, context: Any
) -> Mapping[str, Any]:
    """An artifact as an extraction leaves it."""
    header = ShardHeader(
        host_tag=spec.host_tag,
        host_revision="",
        tokenizer_hash="",
        block_index=BLOCK_INDEX,
        read_mode="pooled",
        dtype="float32",
        max_length=256,
    )
    block_folder(out, BLOCK_INDEX).mkdir()
    rng = np.random.default_rng(0)
    with recorded_access(spec.splits, out) as access:
        for index, start in enumerate(range(0, spec.num_rows, ROWS_PER_SHARD)):
            ids = _ids(start, min(ROWS_PER_SHARD, spec.num_rows - start))
            vectors_ND = rng.standard_normal((len(ids), FIT_WIDTH), dtype=np.float32)
            rows = shard_rows(ids, [-1] * len(ids), [9] * len(ids), vectors_ND)
            write_shard(shard_path(block_folder(out, BLOCK_INDEX), index), header, rows)
            for identity in ids:
                access.consume(identity, spec.splits[0])
    return {}


def _ids(start: int, count: int) -> list[str]:
    return [f"{number:016x}" for number in range(start, start + count)]


def _hush() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--rows", type=int, nargs="+", default=[8000, 32000])
    return parser.parse_args()


if __name__ == "__main__":
    main()
