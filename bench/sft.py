"""Rows a second of one supervised LoRA step of an AV of Qwen3-0.6B, against a plain loop.

    python -m bench.sft [--rounds 5] [--gpu]

A step is forward, backward, clipping and AdamW. Random weights, full depth and vocabulary, one
thread; all variants step the same adapters on the same batch, and differ only in how the loss is
made. Loss and gradients must agree in fp32 on a small shape before anything is timed.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.utils import logging
from trl.trainer.utils import add_fused_lm_head

from bench.decoding import MARKER_AT, NUM_PROMPT, embedded, random_av
from bench.flops import PEAK_FLOPS, lora_step_flops
from bench.rounds import Timing, interleaved, machine_lines, ratio_table, say
from bench.synthetic import qwen3_600m, qwen3_1700m, qwen3_config
from interlingua.models.pair.prompts import IGNORED, AvPrompt, right_padded
from interlingua.models.pair.trunk import add_lora
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.specs.training import LoraSpec

NUM_ROWS, NUM_GPU_ROWS, GPU_STEPS = 4, 32, 10
RESPONSE_LENGTHS = (120, 112, 106, 100)
LEARNING_RATE, CLIP_NORM = 1e-5, 1.0
PARITY_LOSS, PARITY_GRADIENT = 1e-5, 1e-4
OURS = "ours"
LORA = LoraSpec(
    rank=16,
    alpha=32.0,
    dropout=0.0,
    targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    rank_stabilised=False,
)


@dataclass(frozen=True, slots=True)
class Work:
    """An AV with adapters and one batch of one host."""

    verbalizer: Verbalizer
    prompt: AvPrompt
    v_BD: Tensor
    response_BT: Tensor

    @property
    def adapters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [weight for weight in self.verbalizer.parameters() if weight.requires_grad]


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    logging.set_verbosity_error()
    if options.gpu:
        _bench_gpu()
        return
    with threadpool_limits(1):
        torch.set_num_threads(1)
        _bench(options.rounds)
    say("", *machine_lines())


def _bench(num_rounds: int) -> None:
    say(
        f"### qwen3, {NUM_ROWS} rows, prompt of {NUM_PROMPT} with its marker at {MARKER_AT}, "
        f"responses of {', '.join(map(str, RESPONSE_LENGTHS))}, LoRA of rank {LORA.rank}, "
        "bfloat16, 1 thread",
        "",
    )
    _require_parity()
    work = _open(qwen3_600m(), torch.bfloat16, NUM_ROWS)
    variants = _variants(work)
    for run in variants.values():
        run()
    timings = interleaved(variants, num_rounds=num_rounds)
    say("", *ratio_table(timings, ours=OURS), "")
    _say_limits(timings, work)


def _open(
    config: PreTrainedConfig, dtype: torch.dtype, num_rows: int, *, device: str = "cpu"
) -> Work:
    verbalizer, prompt = random_av(config, dtype, device=device)
    add_fused_lm_head(verbalizer.trunk.model)  # used where a call asks for it
    add_lora(verbalizer.trunk.model, LORA, seed=0)
    generator = torch.Generator().manual_seed(2)
    # Fresh adapters add nothing, and half of their gradients are zero.
    for name, weight in verbalizer.named_parameters():
        if "lora_B" in name:
            weight.data = 0.01 * torch.randn(weight.shape, generator=generator).to(device)
    verbalizer.train()
    lengths = [RESPONSE_LENGTHS[row % len(RESPONSE_LENGTHS)] for row in range(num_rows)]
    drawn = [torch.randint(config.vocab_size, (n,), generator=generator) for n in lengths]
    response_BT = right_padded([ids_T.tolist() for ids_T in drawn], IGNORED)
    v_BD = torch.randn(num_rows, config.hidden_size, generator=generator)
    return Work(verbalizer, prompt, v_BD.to(device), response_BT.to(device))


def _variants(work: Work) -> dict[str, Callable[[], None]]:
    """Steps of one optimizer over the adapters that all variants share."""
    optimizer = torch.optim.AdamW(work.adapters, lr=LEARNING_RATE)
    return {
        name: partial(_step, partial(loss, work), optimizer, work.adapters)
        for name, loss in LOSSES.items()
    }


def _step(
    loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, adapters: list[nn.Parameter]
) -> None:
    loss().backward()
    nn.utils.clip_grad_norm_(adapters, CLIP_NORM)
    optimizer.step()
    optimizer.zero_grad()


def _our_loss(work: Work) -> Tensor:
    nll_BT = work.verbalizer.nll(work.prompt, work.v_BD, work.response_BT)
    return nll_BT.sum() / (work.response_BT != IGNORED).sum()


def _labels_loss(work: Work) -> Tensor:
    """The model's own loss."""
    embeds_BTD, labels_BT = _peer_batch(work)
    model = work.verbalizer.trunk.model
    # No mask: what is padded on the right is never looked at, and attention is faster without.
    loss: Tensor = model(inputs_embeds=embeds_BTD, labels=labels_BT, use_cache=False).loss
    return loss


def _all_logits_loss(work: Work) -> Tensor:
    """Cross entropy by hand over all logits, prompt included, in fp32."""
    embeds_BTD, labels_BT = _peer_batch(work)
    logits_BTV = work.verbalizer.trunk.model(inputs_embeds=embeds_BTD, use_cache=False).logits
    return functional.cross_entropy(
        logits_BTV[:, :-1].float().flatten(0, 1),
        labels_BT[:, 1:].flatten(),
        ignore_index=IGNORED,
    )


def _trl_loss(work: Work) -> Tensor:
    """What SFTTrainer's compute_loss calls; on a CPU it, too, scores all positions."""
    embeds_BTD, labels_BT = _peer_batch(work)
    model = work.verbalizer.trunk.model
    loss: Tensor = model(inputs_embeds=embeds_BTD, labels=labels_BT, fused_lm_head=True).loss
    return loss


LOSSES: Mapping[str, Callable[[Work], Tensor]] = {
    OURS: _our_loss,
    "labels=": _labels_loss,
    "all logits in fp32": _all_logits_loss,
    "TRL's fused head": _trl_loss,
}


def _peer_batch(work: Work) -> tuple[Tensor, Tensor]:
    """Embeddings with the vectors written in, and labels that leave the prompt out."""
    prompt_BT = work.prompt.ids_T.expand(len(work.v_BD), -1)
    ids_BT = torch.cat([prompt_BT, work.response_BT.clamp(min=0)], dim=1)
    labels_BT = torch.cat([torch.full_like(prompt_BT, IGNORED), work.response_BT], dim=1)
    return embedded(work.verbalizer, ids_BT, work.v_BD), labels_BT


def _require_parity() -> None:
    """Stop unless the peers' loss and gradients are ours in fp32 on a small shape."""
    config = qwen3_config(256, 3, 8, 512)
    config.vocab_size = 2000
    work = _open(config, torch.float32, NUM_ROWS)
    (our_loss, ours_P), *peers = [_gradient(loss, work) for loss in LOSSES.values()]
    loss_error = max(abs(loss - our_loss) / our_loss for loss, _ in peers)
    error = max(float((peer_P - ours_P).norm() / ours_P.norm()) for _, peer_P in peers)
    if not (loss_error <= PARITY_LOSS and error <= PARITY_GRADIENT):
        raise SystemExit(
            f"a peer differs from ours, loss by {loss_error:.1e}, gradient by {error:.1e}: "
            "nothing was timed"
        )
    say(
        f"parity: in fp32, 3 blocks of width 256, the loss differs by at most {loss_error:.1e} "
        f"and the gradient of the adapters by {error:.1e} of its norm"
    )


def _gradient(loss: Callable[[Work], Tensor], work: Work) -> tuple[float, Tensor]:
    value = loss(work)
    gradients = torch.autograd.grad(value, work.adapters)
    return value.item(), torch.cat([gradient.flatten() for gradient in gradients])


def _say_limits(timings: Mapping[str, list[Timing]], work: Work) -> None:
    """Rows a second, and the most that FLOPs allow each ratio to be."""
    ours_s = [t.cpu_s for t in timings[OURS]]
    limit = _flops(work, is_ours=False) / _flops(work, is_ours=True)
    say("| variant | rows/CPU s | FLOP limit of the ratio | share of it |", "|---|---|---|---|")
    for name, variant in timings.items():
        rate = len(work.v_BD) / median(t.cpu_s for t in variant)
        ratio = median(t.cpu_s / own for t, own in zip(variant, ours_s, strict=True))
        of_limit = "1 | |" if name == OURS else f"{limit:.2f} | {ratio / limit:.0%} |"
        say(f"| {name} | {rate:.3f} | {of_limit}")
    flops = _flops(work, is_ours=True) / median(ours_s)
    say("", f"ours: {flops / 1e9:.0f} GFLOP/s of products with weights")


def _flops(work: Work, *, is_ours: bool) -> float:
    """Products with weights of a step; ours runs the prompt's beginning once for all rows."""
    config = work.verbalizer.trunk.model.config
    num_rows, num_response = work.response_BT.shape
    num_prompt = len(work.prompt.ids_T)
    block_tokens = head_tokens = num_rows * (num_prompt + num_response)
    if is_ours:
        num_shared = work.prompt.num_shared
        block_tokens = num_shared + num_rows * (num_prompt - num_shared + num_response - 1)
        head_tokens = num_rows * num_response
    adapters = sum(weight.numel() for weight in work.adapters)
    return lora_step_flops(config, adapters, block_tokens=block_tokens, head_tokens=head_tokens)


def _bench_gpu() -> None:
    """Measure Qwen3-1.7B and print; without a GPU say so."""
    if not torch.cuda.is_available():
        say("NOT RUN: no GPU here (torch.cuda.is_available() is false)")
        return
    config = qwen3_1700m()
    work = _open(config, torch.bfloat16, NUM_GPU_ROWS, device="cuda")
    for name, step in _variants(work).items():
        step()  # warm-up
        seconds = [_gpu_s(step) for _ in range(GPU_STEPS)]
        rate = NUM_GPU_ROWS / median(seconds)
        flops = _flops(work, is_ours=name == OURS) / median(seconds)
        say(
            f"{torch.cuda.get_device_name()}: {name}: {rate:.1f} rows/s of Qwen3-1.7B, "
            f"{flops / 1e12:.0f} TFLOP/s, MFU {flops / PEAK_FLOPS:.0%} of {PEAK_FLOPS / 1e12:.0f}"
        )
    say(*machine_lines())


def _gpu_s(step: Callable[[], None]) -> float:
    torch.cuda.synchronize()
    start_s = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start_s


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpu", action="store_true", help="Qwen3-1.7B on one GPU")
    return parser.parse_args()


if __name__ == "__main__":
    main()
