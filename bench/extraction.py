"""Reading the pooled output of block K of GPT-2 small and Qwen3-0.6B, against what others run.

    python -m bench.extraction [--rounds 7] [--shapes gpt2 qwen3]

Random weights, full depth and vocabulary, passages of log-normal lengths, one thread. Every variant
has the same weights, passages, dtype and result, and the best of as many batch sizes. Rows must
agree in fp32 before anything is timed. Ours also tokenizes; the peers are given ids.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from transformers import PreTrainedConfig
from transformers.utils import logging

from bench.extraction_peers import Peer, Read, installed_peers, num_padded_tokens, peer_rows
from bench.rounds import Timing, interleaved, machine_lines, ratio_table, say
from bench.synthetic import (
    Passages,
    block_parameters,
    draw_passages,
    gpt2_small,
    open_reader,
    qwen3_600m,
    save_host,
)
from interlingua.models.hosts.activations import Reader

PEER_BATCHES = (4, 8, 16)
OUR_BATCH_TOKENS = (512, 1024, 2048)
PARITY, NUM_PARITY_PASSAGES, NUM_PARITY_TOKENS = 1e-4, 4, 48
OURS = "ours"
DTYPE = "bfloat16"

Run = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Shape:
    """A published shape; `block_index` lies at two thirds of its depth."""

    make_config: Callable[[], PreTrainedConfig]
    block_index: int
    num_passages: int


# As many passages as one round of all variants reads in well under a minute.
SHAPES = {"gpt2": Shape(gpt2_small, 8, 32), "qwen3": Shape(qwen3_600m, 18, 16)}


@dataclass(frozen=True, slots=True)
class Work:
    """Matrix products of one token, in FLOP: up to block K, and of the whole model with its head.

    Attention's own products are left out: at these lengths they are under 3%.
    """

    to_block: float
    whole: float


def main() -> None:
    """Check parity, choose batch sizes, time, print."""
    options = _options()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        for name in options.shapes:
            with TemporaryDirectory() as folder:
                _bench(name, SHAPES[name], Path(folder), options.rounds)
    say("", *machine_lines())


def _bench(name: str, shape: Shape, folder: Path, num_rounds: int) -> None:
    config = shape.make_config()
    save_host(folder, config)
    passages = draw_passages(shape.num_passages, config.vocab_size)
    say(
        f"\n## {name}, output of block {shape.block_index}, {shape.num_passages} passages, "
        f"{passages.num_tokens} tokens, {DTYPE}, 1 thread",
        "",
    )
    peers, missing = installed_peers()
    say(*missing)
    _require_parity(folder, shape, peers, config.vocab_size)
    variants, padded_tokens = {OURS: _best_of_ours(folder, shape.block_index, passages)}, {}
    for peer in peers:
        read = peer.open(folder, shape.block_index, torch.bfloat16)
        variants[peer.name], padded_tokens[peer] = _best_of_peer(peer.name, read, passages)
    _say_cosines(variants)
    timings = interleaved(variants, num_rounds=num_rounds)
    say("", *ratio_table(timings, ours=OURS), "")
    _say_limits(timings, _work(config, shape.block_index), passages, padded_tokens)


def _best_of_ours(folder: Path, block_index: int, passages: Passages) -> Run:
    texts = passages.texts
    runs: dict[int, Run] = {}
    for batch_tokens in OUR_BATCH_TOKENS:
        reader = open_reader(folder, block_index, dtype=DTYPE, batch_tokens=batch_tokens)
        runs[batch_tokens] = partial(_our_rows, reader, texts, block_index)
    batch_tokens = _fastest(runs)
    say(f"{OURS}: batches of {batch_tokens} tokens")
    return runs[batch_tokens]


def _best_of_peer(name: str, read: Read, passages: Passages) -> tuple[Run, int]:
    runs: dict[int, Run] = {
        size: partial(peer_rows, read, passages.ids, size) for size in PEER_BATCHES
    }
    size = _fastest(runs)
    num_padded = num_padded_tokens(passages.ids, size)
    say(f"{name}: batches of {size} passages, {num_padded} tokens with padding")
    return runs[size], num_padded


def _fastest(runs: Mapping[int, Run]) -> int:
    """The batch size that took least CPU time; every size has run once before it is timed."""
    taken_s = {}
    for run in runs.values():
        run()
    for size, run in runs.items():
        start_s = time.process_time()
        run()
        taken_s[size] = time.process_time() - start_s
    return min(taken_s, key=taken_s.__getitem__)


def _our_rows(reader: Reader, texts: list[tuple[str, str]], block_index: int) -> np.ndarray:
    return reader.rows(texts).vectors_by_block[block_index]


def _require_parity(folder: Path, shape: Shape, peers: list[Peer], vocab_size: int) -> None:
    """Stop unless every peer gives our rows in fp32."""
    passages = draw_passages(NUM_PARITY_PASSAGES, vocab_size, max_tokens=NUM_PARITY_TOKENS)
    reader = open_reader(folder, shape.block_index, dtype="float32", batch_tokens=128)
    ours_ND = _our_rows(reader, passages.texts, shape.block_index)
    worst = 0.0
    for peer in peers:
        read = peer.open(folder, shape.block_index, torch.float32)
        rows_ND = peer_rows(read, passages.ids, batch_size=2)
        error = np.linalg.norm(rows_ND - ours_ND, axis=1) / np.linalg.norm(ours_ND, axis=1)
        if not error.max() <= PARITY:
            raise SystemExit(
                f"{peer.name} differs from ours by {error.max():.1e}: nothing was timed"
            )
        worst = max(worst, float(error.max()))
    say(f"parity: in fp32 no row of a peer differs from ours by more than {worst:.1e} of its norm")


def _say_cosines(variants: Mapping[str, Run]) -> None:
    ours_ND = variants[OURS]()
    cosines = []
    for name, run in variants.items():
        rows_ND = run()
        norms = np.linalg.norm(rows_ND, axis=1) * np.linalg.norm(ours_ND, axis=1)
        cosine = float((np.einsum("nd,nd->n", rows_ND, ours_ND) / norms).min())
        cosines.append(f"{name} {cosine:.6f}")
    say(f"least cosine of a {DTYPE} row with ours: {'; '.join(cosines[1:])}")


def _say_limits(
    timings: Mapping[str, list[Timing]],
    work: Work,
    passages: Passages,
    padded_tokens: Mapping[Peer, int],
) -> None:
    """Useful tokens a second, and the most that FLOPs allow each ratio to be."""
    say(
        "| variant | useful tokens/CPU s | FLOP limit of the ratio | share of it |",
        "|---|---|---|---|",
    )
    ours_s = [t.cpu_s for t in timings[OURS]]
    rate = passages.num_tokens / median(ours_s)
    say(f"| {OURS} | {rate:.0f} | 1 | |")
    for peer, num_padded in padded_tokens.items():
        peer_s = [t.cpu_s for t in timings[peer.name]]
        ratio = median(theirs / own for theirs, own in zip(peer_s, ours_s, strict=True))
        per_token = work.to_block if peer.is_stopped else work.whole
        limit = per_token * num_padded / (work.to_block * passages.num_tokens)
        useful = passages.num_tokens / median(peer_s)
        say(f"| {peer.name} | {useful:.0f} | {limit:.2f} | {ratio / limit:.0%} |")
    product = _product_rate()
    say(
        "",
        f"full forward / truncated, at equal tokens: {work.whole / work.to_block:.2f}",
        f"ours: {rate * work.to_block / 1e9:.0f} GFLOP/s, {rate * work.to_block / product:.0%} of "
        f"a 2048^3 product in {DTYPE} here ({product / 1e9:.0f} GFLOP/s)",
    )


def _work(config: PreTrainedConfig, block_index: int) -> Work:
    per_block = block_parameters(config)
    head = config.vocab_size * config.hidden_size
    return Work(
        to_block=2.0 * per_block * (block_index + 1),
        whole=2.0 * (per_block * config.num_hidden_layers + head),
    )


def _product_rate() -> float:
    square = torch.randn(2048, 2048, dtype=torch.bfloat16)
    rates = []
    for _ in range(5):
        start_s = time.process_time()
        square @ square
        rates.append(2 * 2048**3 / (time.process_time() - start_s))
    return max(rates)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shapes", nargs="+", choices=sorted(SHAPES), default=list(SHAPES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
