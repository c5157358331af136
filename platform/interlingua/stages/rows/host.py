"""Stage `host`: one tiny host of the world, from a tokenizer to an ordinary Hugging Face folder."""

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

    from interlingua.stages.rows.pretraining import pretrained

    torch.set_num_threads(context.placement.threads_per_worker)
    return pretrained(spec, inputs.passages, out)
