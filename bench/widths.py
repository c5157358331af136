"""Real widths end to end: a host as wide as Qwen3-1.7B and one as wide as a 7B, two blocks each.

    python -m bench.widths [--passages 64] [--rows 10000]

Seconds for each part: open, read, store, load, fit the map between them both ways. To read ten
thousand passages is a matter of hours on a CPU, so that the fits get synthetic rows of the same
widths; the passages that are read show what reading costs. All cores; one round, no peers.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from transformers import PreTrainedConfig
from transformers.utils import logging

from bench.rounds import machine_lines, say
from bench.synthetic import (
    READ_TOKENS,
    draw_passages,
    llama_7b_of_two_blocks,
    open_reader,
    qwen3_1700m_of_two_blocks,
    save_host,
)
from interlingua.core.linear import fit
from interlingua.core.moments import FoldMoments
from interlingua.recipes.parts import WORLD_FITTING
from interlingua.store.rows.shards import ShardHeader, read_shard, shard_rows, write_shard

BLOCK_INDEX, BATCH_TOKENS, BLOCK_ROWS, LATENT_WIDTH = 1, 2048, 2048, 1024
DTYPE = "bfloat16"
HOSTS = {"qwen3-1p7b": qwen3_1700m_of_two_blocks, "llama-7b": llama_7b_of_two_blocks}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the table."""

    name: str
    seconds: float
    note: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.seconds:.1f} | {self.note} |"


def main() -> None:
    """Read with both hosts, fit both ways, print the seconds."""
    options = _options()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    say("| part | wall s | |", "|---|---|---|")
    widths = {}
    for tag, make_config in HOSTS.items():
        with TemporaryDirectory() as folder:
            widths[tag] = _read_host(tag, make_config(), Path(folder), options.passages)
    narrow_ND, wide_ND, folds_N = _rows(widths["qwen3-1p7b"], widths["llama-7b"], options.rows)
    _fit("fit llama-7b -> qwen3-1p7b", wide_ND, narrow_ND, folds_N)
    _fit("fit qwen3-1p7b -> llama-7b", narrow_ND, wide_ND, folds_N)
    say("", *machine_lines())


def _read_host(tag: str, config: PreTrainedConfig, folder: Path, num_passages: int) -> int:
    """The width of the host, after it went from texts to a shard and back."""
    save_host(folder, config)
    passages = draw_passages(num_passages, config.vocab_size)
    reader, open_s = _timed(
        lambda: open_reader(folder, BLOCK_INDEX, dtype=DTYPE, batch_tokens=BATCH_TOKENS)
    )
    read, read_s = _timed(lambda: reader.rows(passages.texts))
    header = ShardHeader(
        host_tag=tag,
        host_revision="",
        tokenizer_hash=reader.tokenizer_hash,
        block_index=BLOCK_INDEX,
        read_mode="pooled",
        dtype=DTYPE,
        max_length=READ_TOKENS,
    )
    rows = shard_rows(
        read.passage_ids, read.positions, read.num_tokens, read.vectors_by_block[BLOCK_INDEX]
    )
    path = folder / "shard"
    _, write_s = _timed(lambda: write_shard(path, header, rows))
    _, load_s = _timed(lambda: read_shard(path))
    rate = passages.num_tokens / read_s
    say(
        str(Part(f"{tag}: open and prove", open_s, f"width {reader.width}")),
        str(Part(f"{tag}: read {num_passages} passages", read_s, f"{rate:.0f} useful tokens/s")),
        str(Part(f"{tag}: write and read its shard", write_s + load_s, "")),
    )
    return reader.width


def _fit(name: str, x_ND: np.ndarray, y_NE: np.ndarray, folds_N: np.ndarray) -> None:
    """Moments in blocks, then the ridge that the shipped recipes choose from."""
    folds = FoldMoments.empty(x_ND.shape[1], y_NE.shape[1], num_folds=WORLD_FITTING.ridge.num_folds)

    def gather() -> None:
        for start in range(0, len(x_ND), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            folds.add(x_ND[block], y_NE[block], folds_N[block])

    _, gather_s = _timed(gather)
    say(str(Part(f"{name}: moments", gather_s, f"{len(x_ND)} synthetic rows")))
    chosen, fit_s = _timed(
        lambda: fit(folds, strengths=WORLD_FITTING.ridge.strengths, centred=True)
    )
    note = f"{WORLD_FITTING.ridge.num_folds} folds x {len(WORLD_FITTING.ridge.strengths)} strengths"
    say(str(Part(f"{name}: choose and solve", fit_s, f"{note}, chose {chosen.report.ridge:g}")))


def _rows(narrow: int, wide: int, num_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two noisy views of one latent with a power-law spectrum, and folds."""
    rng = np.random.default_rng(0)
    latent_ND = rng.standard_normal((num_rows, LATENT_WIDTH)) / np.arange(1, LATENT_WIDTH + 1)
    latent_ND = latent_ND.astype(np.float32)
    views = []
    for width in (narrow, wide):
        view_ND = latent_ND @ rng.standard_normal((LATENT_WIDTH, width), dtype=np.float32)
        view_ND += 0.1 * rng.standard_normal((num_rows, width), dtype=np.float32)
        views.append(view_ND)
    return views[0], views[1], rng.integers(0, WORLD_FITTING.ridge.num_folds, num_rows)


def _timed(run: Callable[[], T]) -> tuple[T, float]:
    start_s = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start_s


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--rows", type=int, default=10000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
