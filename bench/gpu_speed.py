"""Tokens a second of rollouts, of LoRA training and of extraction, on one device."""

import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.decoding import OURS, Work, generated, our_samples, random_av
from bench.flops import PEAK_FLOPS, forward_flops, lora_step_flops
from bench.gpu_sizes import Sizes
from bench.lines import Number
from bench.rl_roles import ADAPTERS, HOST, identity_space
from bench.rounds import interleaved
from bench.synthetic import draw_passages, open_reader, save_host
from interlingua.models.pair.trunk import add_lora
from interlingua.recipes.universal_parts import AV
from interlingua.stages.rl.local_roles import groups_of
from interlingua.stages.sft.av import AvBatch, AvLearner
from interlingua.stages.sft.engine import TorchEngine

GROUP_SIZE, NUM_RESPONSE, MAX_TOKENS = 8, 120, 512
GENERATE = "generate"


def rollouts(sizes: Sizes) -> Iterator[Number]:
    """Samples of an AV in groups, against `generate` on the same model."""
    verbalizer, prompt = random_av(sizes.trunk, torch.bfloat16, device=sizes.device)
    for num_rows in sizes.rollout_rows:
        v_BD = _vectors(num_rows // GROUP_SIZE, sizes)
        work = Work(verbalizer, prompt, v_BD, GROUP_SIZE, sizes.num_new)
        variants = {
            OURS: partial(_synchronized, partial(our_samples, work), sizes.device),
            GENERATE: partial(_synchronized, partial(generated, work, len(v_BD)), sizes.device),
        }
        for run in variants.values():
            run()  # warm-up
        timings = interleaved(variants, num_rounds=sizes.num_rounds)
        seconds = {name: [t.wall_s for t in variant] for name, variant in timings.items()}
        for name, rounds in seconds.items():
            yield _rate(f"{num_rows} rows, {name}", num_rows * sizes.num_new, rounds)
        pairs = zip(seconds[GENERATE], seconds[OURS], strict=True)
        ratios = tuple(theirs / own for theirs, own in pairs)
        yield Number(name=f"{num_rows} rows, {GENERATE} / {OURS}", unit="", rounds=ratios)


def lora_sft(sizes: Sizes) -> Iterator[Number]:
    """Steps of the AV's adapters by the product's engine: forward, backward, clipping, AdamW."""
    device, num_rows = sizes.device, sizes.sft_rows
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    verbalizer, prompt = random_av(sizes.trunk, torch.bfloat16, device=device)
    add_lora(verbalizer.trunk.model, ADAPTERS, seed=0)
    learner = AvLearner(verbalizer, identity_space(sizes.trunk.hidden_size), {HOST: prompt})
    optim = AV.optim
    engine = TorchEngine(learner, groups_of(learner, optim.learning_rate), optim, device)
    batch = _av_batch(sizes)
    step = partial(_synchronized, partial(engine.step, [batch], 1.0), device)
    step()  # warm-up
    seconds = [t.wall_s for t in interleaved({OURS: step}, num_rounds=sizes.sft_steps)[OURS]]
    num_shared, num_prompt = prompt.num_shared, len(prompt.ids_T)
    # What all rows share runs once, and nothing is asked of a response's last token.
    block_tokens = num_shared + num_rows * (num_prompt - num_shared + NUM_RESPONSE - 1)
    flops = lora_step_flops(
        sizes.trunk,
        sum(weight.numel() for weight in learner.parameters() if weight.requires_grad),
        block_tokens=block_tokens,
        head_tokens=num_rows * NUM_RESPONSE,
    )
    num_tokens = num_rows * (num_prompt + NUM_RESPONSE)
    yield _rate(f"{num_rows} rows of {num_prompt} + {NUM_RESPONSE}", num_tokens, seconds)
    yield _mfu(flops, seconds)
    yield _peak_memory(device)


def extraction(sizes: Sizes) -> Iterator[Number]:
    """Pooled rows of a block by the product's reader, from texts to rows on the CPU."""
    with TemporaryDirectory() as name:
        folder = save_host(Path(name), sizes.host, device=sizes.device)
        _free(sizes.device)
        reader = open_reader(
            folder,
            sizes.block_index,
            dtype="bfloat16",
            batch_tokens=sizes.batch_tokens,
            device=sizes.device,
        )
    passages = draw_passages(sizes.num_passages, sizes.host.vocab_size, max_tokens=MAX_TOKENS)
    read = partial(reader.rows, passages.texts)  # its rows are on the CPU: nothing is in flight
    read()  # warm-up
    seconds = [t.wall_s for t in interleaved({OURS: read}, num_rounds=sizes.num_rounds)[OURS]]
    flops = forward_flops(sizes.host, num_blocks=sizes.block_index + 1)
    yield _rate(f"useful tokens to block {sizes.block_index}", passages.num_tokens, seconds)
    yield _mfu(flops * passages.num_tokens, seconds)


def _av_batch(sizes: Sizes) -> AvBatch:
    generator = torch.Generator().manual_seed(2)
    shape = (sizes.sft_rows, NUM_RESPONSE)
    response_BT = torch.randint(sizes.trunk.vocab_size, shape, generator=generator)
    return AvBatch(
        host_tag=HOST,
        keys=(),
        h_BD=_vectors(sizes.sft_rows, sizes),
        response_BT=response_BT.to(sizes.device),
        weight=1 / response_BT.numel(),
    )


def _vectors(num_rows: int, sizes: Sizes) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    v_BD = torch.randn(num_rows, sizes.trunk.hidden_size, generator=generator)
    return v_BD.to(sizes.device)


def _synchronized(run: Callable[[], object], device: str) -> None:
    run()
    if device == "cuda":
        torch.cuda.synchronize()


def _free(device: str) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()


def _rate(name: str, num_tokens: int, seconds: list[float]) -> Number:
    rates = tuple(num_tokens / s for s in seconds)
    return Number(name=name, unit="tokens/s", rounds=rates)


def _mfu(flops: float, seconds: list[float]) -> Number:
    shares = tuple(flops / s / PEAK_FLOPS for s in seconds)
    return Number(name=f"MFU, share of {PEAK_FLOPS / 1e12:.0f} TFLOP/s", unit="", rounds=shares)


def _peak_memory(device: str) -> Number:
    if device == "cuda":
        peak, what = torch.cuda.max_memory_allocated(), "allocated on the card"
    else:
        peak, what = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "of the process"
    return Number(name=f"peak memory {what}", unit="GB", rounds=(peak / 1e9,))
