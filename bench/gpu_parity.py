"""Whether another device, or another dtype, computes what a CPU does in fp32.

Extraction, what an injected vector does, greedy decoding. Where it can be, a difference is given as
a share of what another vector would change: random weights hardly react, and a vector that is not
written at all must not look like parity.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.decoding import EndlessTokenizer
from bench.gpu_sides import (
    BLOCK_INDEX,
    MARKER_AT,
    NUM_NEW,
    NUM_ROWS,
    REPLACE,
    Bound,
    l2,
    number,
    prompt_on,
    random_host,
    vectors,
    verbalizer_on,
)
from bench.gpu_sizes import REFERENCE, Side, Sizes, small_qwen3
from bench.lines import Number
from bench.synthetic import draw_passages, open_reader
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.decoding import Decoder
from interlingua.models.sampling.ending import Decoded
from interlingua.specs.injection import AfterBlock, InjectionRule
from interlingua.specs.training import SamplingSpec

NUM_PASSAGES, MAX_TOKENS, BATCH_TOKENS = 16, 64, 512
RULES: tuple[InjectionRule, ...] = (REPLACE, AfterBlock(index=1))


def extraction(sizes: Sizes) -> Iterator[Number]:
    """Pooled rows of a block, each as a share of its norm."""
    config = small_qwen3()
    texts = draw_passages(NUM_PASSAGES, config.vocab_size, max_tokens=MAX_TOKENS).texts

    def rows(folder: Path, side: Side) -> np.ndarray:
        reader = open_reader(
            folder, BLOCK_INDEX, dtype=side.dtype, batch_tokens=BATCH_TOKENS, device=side.device
        )
        return reader.rows(texts).vectors_by_block[BLOCK_INDEX]

    with random_host() as folder:
        one_ND = rows(folder, REFERENCE)
        for side in sizes.sides:
            apart_N = np.linalg.norm(rows(folder, side) - one_ND, axis=1)
            error = float((apart_N / np.linalg.norm(one_ND, axis=1)).max())
            yield number("rows", side, error, Bound(1e-5, 3e-2))


def injection(sizes: Sizes) -> Iterator[Number]:
    """Logits behind the marker, by each rule."""
    with random_host() as folder:
        for rule in RULES:
            one = _logits(folder, REFERENCE, rule)
            effect = l2(one - one.flip(0))  # what another row's vector would have given
            for side in sizes.sides:
                error = l2(_logits(folder, side, rule) - one) / effect
                name = f"logits under {type(rule).__name__}, share of a vector's effect"
                yield number(name, side, error, Bound(1e-4, 1e-1))


def decoding(sizes: Sizes) -> Iterator[Number]:
    """Greedy ids, and how likely they are found; in bf16 near ties fall otherwise."""
    with random_host() as folder:
        one = _greedy(verbalizer_on(folder, REFERENCE), REFERENCE)
        ids_NT, one_NT = _ids(one), _log_probs(one)
        effect = (one_NT - one_NT.flip(0)).abs().mean()
        for side in sizes.sides:
            verbalizer = verbalizer_on(folder, side)
            found = _greedy(verbalizer, side)
            if side.dtype == REFERENCE.dtype:
                share = (_ids(found) != ids_NT).double().mean()
                yield number("greedy ids that differ, share", side, float(share), Bound(0, 0))
            again_NT = _second_pass(verbalizer, side, ids_NT)
            error = float((again_NT - one_NT).abs().mean() / effect)
            name = "log p of the same ids, share of a vector's effect"
            yield number(name, side, error, Bound(1e-4, 2e-1))
            own_NT = _second_pass(verbalizer, side, _ids(found))
            apart = float((own_NT - _log_probs(found)).abs().mean())
            name = f"log p while decoding against one pass, nats, {side}"
            bound = Bound(1e-5, 5e-2).of(side)
            yield Number(name=name, unit="", rounds=(apart,), at_most=bound)


@torch.no_grad()
def _logits(folder: Path, side: Side, rule: InjectionRule) -> Tensor:
    """[B, T, V] of the positions from the marker on."""
    verbalizer, prompt = verbalizer_on(folder, side, rule).eval(), prompt_on(side)
    v_BD = vectors().to(side.device)
    ids_BT = prompt.ids_T.expand(len(v_BD), -1)
    logits_BTV = verbalizer.trunk(ids_BT, sites=verbalizer.sites(prompt, v_BD, 0))
    return logits_BTV[:, MARKER_AT:].float().cpu()


def _greedy(verbalizer: Verbalizer, side: Side) -> list[Decoded]:
    spec = SamplingSpec(seed=0, temperature=0, samples=1, max_new_tokens=NUM_NEW)
    tokenizer: Any = EndlessTokenizer()
    keys = [str(row) for row in range(NUM_ROWS)]
    drawn = Decoder(verbalizer, tokenizer)(prompt_on(side), vectors().to(side.device), keys, spec)
    return [sample for (sample,) in drawn]


@torch.no_grad()
def _second_pass(verbalizer: Verbalizer, side: Side, ids_NT: Tensor) -> Tensor:
    v_BD = vectors().to(side.device)
    return -verbalizer.eval().nll(prompt_on(side), v_BD, ids_NT.to(side.device)).cpu()


def _ids(samples: Sequence[Decoded]) -> Tensor:
    return torch.tensor([sample.ids for sample in samples])


def _log_probs(samples: Sequence[Decoded]) -> Tensor:
    return torch.tensor([sample.log_probs for sample in samples])
