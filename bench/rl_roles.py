"""AV, AV_init and AR with random weights, and what a step of reinforcement learning asks of them.

No sample ends early, and the AR reads a sample's own ids: speed does not depend on what they say.
Knows no Ray.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from bench.decoding import EndlessTokenizer, random_av
from bench.synthetic import qwen3_config
from interlingua.core.shared_space import HostMap, SharedSpace
from interlingua.models.hosts.parts import find_parts
from interlingua.models.pair.prompts import AvPrompt
from interlingua.models.pair.reconstructor import Reconstructor
from interlingua.models.pair.trunk import add_lora
from interlingua.models.sampling.decoding import Decoder
from interlingua.models.sampling.ending import Decoded
from interlingua.recipes.universal_parts import LORA
from interlingua.specs.injection import Centring, Readout
from interlingua.specs.rl import RlSpec, RlWatch, ScaledError
from interlingua.specs.training import OptimSpec, RateDecay, SamplingSpec
from interlingua.stages.rl.ar import SupervisedReconstructor
from interlingua.stages.rl.av import EngineVerbalizer, Policy
from interlingua.stages.rl.local_roles import groups_of
from interlingua.stages.rl.roles import Asked
from interlingua.stages.sft.engine import TorchEngine

HOST = "host"
ADAPTERS = replace(LORA, dropout=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The shape of a step, and where a role runs; as much of an RlJob as workers ask of one."""

    config: dict[str, int]
    dtype: str
    num_activations: int
    group_size: int
    num_new: int
    out: Path
    device: str
    threads: int
    micro_batch_rows: int
    batch_rows: int

    def trunk_config(self) -> PreTrainedConfig:
        """A Qwen3 of this shape."""
        config = qwen3_config(
            self.config["width"],
            self.config["num_blocks"],
            self.config["num_heads"],
            self.config["ffn_width"],
        )
        config.vocab_size = self.config["vocab_size"]
        return config

    def rl(self) -> RlSpec:
        """The step as the loop has it."""
        learner = OptimSpec(
            learning_rate=1e-5,
            warmup_steps=0,
            decay=RateDecay.CONSTANT,
            betas=(0.9, 0.95),
            weight_decay=0.0,
            clip_norm=1.0,
            dtype=self.dtype,
        )
        return RlSpec(
            tag="bench",
            seed=0,
            num_steps=1000,
            activations_per_step=self.num_activations,
            group_size=self.group_size,
            max_new_tokens=self.num_new,
            av=learner,
            ar=learner,
            reward=ScaledError(),
            length_penalty=0.0,
            failure_reward=-3.0,
            advantage_floor=0.1,
            kl_coef=0.1,
            clip_ratio=0.2,
            max_skipped_share=1.0,
            watch=RlWatch(
                seed=0,
                evaluate_every=1000,
                checkpoint_every=1000,
                dev_rows=1,
                dev_samples=2,
                gates=None,
                max_kl_per_token=None,
                max_log_ratio=None,
                min_delta=0.0,
            ),
        )


class RandomCorpus:
    """The same activations in every step, drawn anew into words."""

    def __init__(self, job: Job) -> None:
        generator = torch.Generator().manual_seed(1)
        size = (job.num_activations, job.config["width"])
        self._v_BE = torch.randn(size, generator=generator).numpy()
        self.variances, self.dev, self.known = {HOST: 1.0}, (), None

    def asked(self, step: int) -> Asked:
        """The activations of a step."""
        names = tuple(f"{step}|{row}" for row in range(len(self._v_BE)))
        return Asked(HOST, tuple((name, -1) for name in names), names, self._v_BE)


class FixedSpeaker:
    """The decoder over a prompt of random ids."""

    def __init__(self, policy: Policy, prompt: AvPrompt, device: str) -> None:
        self._decoder = Decoder(policy.verbalizer, EndlessTokenizer())
        self._prompt, self._device = prompt, device

    def verbalize(
        self, host_tag: str, v_NE: Tensor, keys: Sequence[str], spec: SamplingSpec
    ) -> list[list[Decoded]]:
        """The samples of every row."""
        return self._decoder(self._prompt, v_NE.to(self._device), keys, spec)


class OwnIds:
    """The AR reads the sample itself."""

    def ar_prompt(self, sample: Decoded) -> Sequence[int]:
        """Its ids."""
        return sample.ids


def random_policy(job: Job) -> tuple[Policy, AvPrompt]:
    """The AV with adapters, the same in every process, and its prompt."""
    verbalizer, prompt = random_av(job.trunk_config(), getattr(torch, job.dtype), device=job.device)
    add_lora(verbalizer.trunk.model, ADAPTERS, seed=0)
    return Policy(verbalizer, {HOST: prompt}, clip_ratio=0.2, kl_coef=0.1), prompt


def random_reconstructor(job: Job) -> SupervisedReconstructor:
    """The AR with adapters: the first half of the blocks, and one."""
    config = job.trunk_config()
    config.num_hidden_layers = config.num_hidden_layers // 2 + 1
    config.layer_types = config.layer_types[: config.num_hidden_layers]
    torch.manual_seed(2)
    with torch.device(job.device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, job.dtype))
    add_lora(model, ADAPTERS, seed=0)
    last = config.num_hidden_layers - 1
    parts = find_parts(model)
    ar_prompt = Reconstructor(model, parts, block_index=last, readout=Readout.NORMALIZED)
    return SupervisedReconstructor(ar_prompt.to(job.device))


def identity_space(width: int) -> SharedSpace:
    """The shared space of a host that is its own anchor."""
    return SharedSpace(
        {HOST: HostMap(torch.eye(width), torch.zeros(width))},
        anchor=HOST,
        centring=Centring.NONE,
        is_trained=False,
    )


def engine_over(module: nn.Module, job: Job) -> TorchEngine:
    """Plain torch, as a single worker of a role has it."""
    learner: Any = job.rl().av
    groups = groups_of(module, learner.learning_rate)
    return TorchEngine(module, groups, learner, job.device)


def random_verbalizer(
    engine: TorchEngine, policy: Policy, prompt: AvPrompt, job: Job
) -> EngineVerbalizer:
    """The AV's role over its engine."""
    speaker: Any = FixedSpeaker(policy, prompt, job.device)
    texts: Any = OwnIds()
    return EngineVerbalizer(
        engine,
        speaker,
        texts,
        max_new_tokens=job.num_new,
        micro_batch_rows=job.micro_batch_rows,
        device=job.device,
    )
