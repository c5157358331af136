"""Stage `host`: a host that is made here, from passages to an ordinary Hugging Face folder."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, NamedTuple

from interlingua.specs.world import WorldHostSpec
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class HostInputs(NamedTuple, Generic[Member]):
    """The passages that a host is pretrained on."""

    passages: Member


def host_stage(host: WorldHostSpec, passages: Stage) -> Stage:
    """A host that is pretrained here."""
    return Stage(
        kind="host",
        label=host.tag,
        spec=host,
        run=run,
        inputs=HostInputs(passages),
        revision=1,
    )


def run(
    spec: WorldHostSpec, inputs: HostInputs[Artifact], out: Path, context: Context
) -> Mapping[str, float]:
    """Train the host on split `pretrain`, examine it on `dev`, save model and tokenizer."""
    import torch

    torch.set_num_threads(context.placement.threads_per_worker)
    # By the name that the spec gives: whoever makes hosts is no concern of the stages.
    metrics: Mapping[str, float] = importlib.import_module(spec.made_by).made(
        spec, inputs.passages, out
    )
    return metrics
