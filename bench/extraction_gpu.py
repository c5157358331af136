"""Tokens a second to block 24 of a random Qwen3-8B on one GPU, and the share of its peak."""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from bench.rounds import machine_lines, say
from bench.synthetic import block_parameters, draw_passages, open_reader, qwen3_8b, save_host

BLOCK_INDEX, NUM_PASSAGES, MAX_TOKENS, NUM_ROUNDS = 24, 4096, 512, 5
BATCH_TOKENS = 32768
PEAK_FLOPS = 989e12  # H100 SXM, dense bf16; MFU on another card is relative to this all the same


def bench_gpu() -> None:
    """Measure and print; without a GPU say so."""
    if not torch.cuda.is_available():
        say("NOT RUN: no GPU here (torch.cuda.is_available() is false)")
        return
    with TemporaryDirectory() as name:
        folder = save_host(Path(name), qwen3_8b(), device="cuda")
        torch.cuda.empty_cache()
        reader = open_reader(
            folder, BLOCK_INDEX, dtype="bfloat16", batch_tokens=BATCH_TOKENS, device="cuda"
        )
    passages = draw_passages(NUM_PASSAGES, qwen3_8b().vocab_size, max_tokens=MAX_TOKENS)
    reader.rows(passages.texts)  # warm-up
    rates = []
    for _ in range(NUM_ROUNDS):
        start_s = time.perf_counter()
        reader.rows(passages.texts)  # its rows are on the host: nothing is left in flight
        rates.append(passages.num_tokens / (time.perf_counter() - start_s))
    flops = 2 * (BLOCK_INDEX + 1) * block_parameters(qwen3_8b()) * median(rates)
    say(
        f"{torch.cuda.get_device_name()}: {median(rates):.0f} useful tokens/s "
        f"({min(rates):.0f}-{max(rates):.0f}) to block {BLOCK_INDEX} of Qwen3-8B, "
        f"{flops / 1e12:.0f} TFLOP/s, MFU {flops / PEAK_FLOPS:.0%} of {PEAK_FLOPS / 1e12:.0f}",
        *machine_lines(),
    )
