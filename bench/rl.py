"""Seconds of a step of reinforcement learning, by phase, against the naive arrangement.

    PYTHONPATH=platform .venv/bin/python -m bench.rl [--rounds 3] [--tiny] [--gpu]

Ours: the product's loop, the AV in this process and AR and AV_init in actors of their own, judging
at the same time. Naive: three models in one process one after the other, Hugging Face `generate`,
a second forward for the log-probs of the samples, all logits scored in fp32. The same activations,
as many tokens; no sample ends early. Log-probs must agree in fp32 before anything is timed.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from transformers.utils import logging

from bench.decoding import embedded
from bench.rl_actors import three_roles
from bench.rl_roles import HOST, Job, RandomCorpus, random_policy, random_reconstructor
from bench.rounds import machine_lines, say
from interlingua.cluster.session import ray_session
from interlingua.core.policy import group_advantages, rewarded, sample_losses
from interlingua.models.pair.prompts import AvPrompt
from interlingua.stages.rl.ar import SupervisedReconstructor
from interlingua.stages.rl.av import Policy
from interlingua.stages.rl.loop import learn

PARITY = 1e-4
PHASES = ("sample", "judge", "learn_av", "learn_ar", "wait", "step")
SMALL = {"width": 256, "num_blocks": 8, "num_heads": 8, "ffn_width": 768, "vocab_size": 32_000}
TINY = {"width": 64, "num_blocks": 2, "num_heads": 8, "ffn_width": 128, "vocab_size": 500}
QWEN3_4B = {
    "width": 2560, "num_blocks": 36, "num_heads": 32, "ffn_width": 9728, "vocab_size": 151_936,
}  # fmt: skip

Seconds = dict[str, float]


class Naive:
    """Three whole models in this process, one after the other."""

    def __init__(self, job: Job, policy: Policy, prompt: AvPrompt) -> None:
        self._job, self._rl, self._prompt = job, job.rl(), prompt
        self._policy, self._start = policy, random_policy(job)[0]
        self._reconstructor = random_reconstructor(job)
        self._optimizers = [_adamw(model) for model in (self._policy, self._reconstructor)]

    def step(self, number: int, corpus: RandomCorpus) -> Seconds:
        """One step; what it took by phase."""
        clock = _Clock(self._job.device)
        v_BE = torch.from_numpy(corpus.asked(number).v_BE).to(self._job.device)
        v_NE = v_BE.repeat_interleave(self._rl.group_size, dim=0)
        with clock.phase("sample"), torch.no_grad():
            ids_NT = self._sampled(v_NE)
            sampled_NT = log_probs(self._policy, self._prompt, v_NE, ids_NT)
        with clock.phase("judge"), torch.no_grad():
            a_NE = self._reconstructor.reconstructor(ids_NT, torch.ones_like(ids_NT))
            reference_NT = log_probs(self._start, self._prompt, v_NE, ids_NT)
        advantages_N = self._advantages(a_NE, v_BE)
        with clock.phase("learn_av"):
            for rows in self._micro_batches(len(ids_NT)):
                losses_N = sample_losses(
                    log_probs(self._policy, self._prompt, v_NE[rows], ids_NT[rows]),
                    sampled_NT=sampled_NT[rows],
                    reference_NT=reference_NT[rows],
                    advantages_N=advantages_N[rows],
                    mask_NT=torch.ones_like(ids_NT[rows], dtype=torch.bool),
                    clip_ratio=self._rl.clip_ratio,
                    kl_coef=self._rl.kl_coef,
                )
                (losses_N.sum() / len(ids_NT)).backward()
            _stepped(self._optimizers[0])
        with clock.phase("learn_ar"):
            for rows in self._micro_batches(len(ids_NT)):
                own_NE = self._reconstructor.reconstructor(
                    ids_NT[rows], torch.ones_like(ids_NT[rows])
                )
                cos_N = nn.functional.cosine_similarity(own_NE, v_NE[rows])
                (2 * (1 - cos_N).sum() / len(ids_NT)).backward()
            _stepped(self._optimizers[1])
        return clock.seconds()

    def _advantages(self, a_NE: Tensor, v_BE: Tensor) -> Tensor:
        rl, num_tokens_N = self._rl, np.full(len(a_NE), self._job.num_new)
        a_NE, v_BE = a_NE.cpu().numpy(), v_BE.cpu().numpy()
        rewards_N, _ = rewarded(a_NE, v_BE, num_tokens_N, spec=rl, variance=1.0)
        advantages_N = group_advantages(rewards_N, rl.group_size, floor=rl.advantage_floor)
        return torch.from_numpy(advantages_N).float().to(self._job.device)

    def _sampled(self, v_NE: Tensor) -> Tensor:
        verbalizer = self._policy.verbalizer
        ids_NT = self._prompt.ids_T.expand(len(v_NE), -1)
        new_NT: Tensor = verbalizer.trunk.model.generate(
            inputs_embeds=embedded(verbalizer, ids_NT, v_NE),
            attention_mask=torch.ones_like(ids_NT),
            max_new_tokens=self._job.num_new,
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
        )
        return new_NT

    def _micro_batches(self, num_rows: int) -> Iterator[slice]:
        size = self._job.micro_batch_rows
        return (slice(start, start + size) for start in range(0, num_rows, size))


def log_probs(policy: Policy, prompt: AvPrompt, v_NE: Tensor, ids_NT: Tensor) -> Tensor:
    """[N, T] as one makes it by hand: all logits, their softmax in fp32, the ids' share of it."""
    verbalizer = policy.verbalizer
    all_NT = torch.cat([prompt.ids_T.expand(len(v_NE), -1), ids_NT], dim=1)
    embeds_NTD = embedded(verbalizer, all_NT, v_NE)
    logits_NTV = verbalizer.trunk.model(inputs_embeds=embeds_NTD, use_cache=False).logits
    log_p_NTV = logits_NTV[:, len(prompt.ids_T) - 1 : -1].float().log_softmax(-1)
    return log_p_NTV.gather(2, ids_NT[..., None])[..., 0]


def main() -> None:
    """Check parity, time, print."""
    options = _options()
    logging.set_verbosity_error()
    if options.gpu and not torch.cuda.is_available():
        say("NOT RUN: no GPU here (torch.cuda.is_available() is false)")
        return
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        torch.set_num_threads(1)
        _require_parity(_job(TINY, Path(folder)))
        job = _job(TINY if options.tiny else SMALL, Path(folder))
        if options.gpu:
            job = replace(
                job,
                config=QWEN3_4B,
                dtype="bfloat16",
                device="cuda",
                num_activations=16,
                group_size=8,
                num_new=60,
                micro_batch_rows=8,
                batch_rows=64,
            )
        _bench(job, options.rounds)
    say("", *machine_lines())


def _bench(job: Job, num_rounds: int) -> None:
    say(
        f"### qwen3 {job.config}, {job.dtype} on {job.device}: {job.num_activations} activations x "
        f"{job.group_size} samples x {job.num_new} tokens, LoRA",
        "",
    )
    corpus, spec = RandomCorpus(job), job.rl()
    with ray_session() as ray, three_roles(ray, job) as (roles, policy, prompt):
        naive = Naive(job, policy, prompt)
        variants: dict[str, Callable[[int], Seconds]] = {
            "ours": lambda step: _of_ours(learn(step, spec, roles, corpus)),
            "naive": lambda step: naive.step(step, corpus),
        }
        found: dict[str, list[Seconds]] = {name: [] for name in variants}
        for turn in range(num_rounds + 1):
            for name in sorted(variants, reverse=bool(turn % 2)):
                found[name].append(variants[name](turn))
    _say_table({name: rounds[1:] for name, rounds in found.items()})  # without the warm-up


def _of_ours(metrics: dict[str, float]) -> Seconds:
    return {name: metrics[f"seconds_{name}"] for name in PHASES}


def _say_table(found: dict[str, list[Seconds]]) -> None:
    say("| variant | " + " | ".join(f"{name}, s" for name in PHASES) + " |", "|---" * 7 + "|")
    for name, rounds in found.items():
        cells = [f"{median(seconds[phase] for seconds in rounds):.3f}" for phase in PHASES]
        say(f"| {name} | " + " | ".join(cells) + " |")
    pairs = zip(found["naive"], found["ours"], strict=True)
    ratios = sorted(theirs["step"] / own["step"] for theirs, own in pairs)
    say("", f"naive / ours, a step: {median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")


def _require_parity(job: Job) -> None:
    """Stop unless the naive log-probs are ours, in fp32."""
    policy, prompt = random_policy(job)
    generator = torch.Generator().manual_seed(3)
    v_NE = torch.randn(3, job.config["width"], generator=generator)
    ids_NT = torch.randint(job.config["vocab_size"], (3, 5), generator=generator)
    with torch.no_grad():
        theirs_NT = log_probs(policy, prompt, v_NE, ids_NT)
        error = float((policy.log_probs(HOST, v_NE, ids_NT) - theirs_NT).abs().max())
    if not error <= PARITY:
        raise SystemExit(f"log-probs differ by {error:.1e}: nothing was timed")
    say(f"parity: in fp32 log-probs differ by at most {error:.1e}")


class _Clock:
    def __init__(self, device: str) -> None:
        self._device, self._seconds = device, dict.fromkeys(PHASES, 0.0)
        self._started = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block to this phase, until the device is done with it."""
        started = time.perf_counter()
        yield
        if self._device != "cpu":
            torch.cuda.synchronize()
        self._seconds[name] += time.perf_counter() - started

    def seconds(self) -> Seconds:
        """By phase, and the whole step."""
        return {**self._seconds, "step": time.perf_counter() - self._started}


def _adamw(model: Policy | SupervisedReconstructor) -> torch.optim.AdamW:
    return torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-5)


def _stepped(optimizer: torch.optim.Optimizer) -> None:
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    optimizer.zero_grad()


def _job(config: dict[str, int], out: Path) -> Job:
    return Job(
        config=config,
        dtype="float32",
        num_activations=4,
        group_size=4,
        num_new=12,
        out=out,
        device="cpu",
        threads=1,
        micro_batch_rows=8,
        batch_rows=16,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="two blocks of width 64")
    parser.add_argument(
        "--gpu", action="store_true", help="three roles of Qwen3-4B, none above 32 GB"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
