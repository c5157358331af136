"""The trained pair as stages open it: from the artifacts of trunk, AV and AR."""

from collections.abc import Mapping

from safetensors.torch import load
from torch import Tensor

from interlingua.core.shared_space import SharedSpace
from interlingua.models.fresh import contract_of
from interlingua.models.hosts import load_tokenizer
from interlingua.models.speaker import Listener, Speaker
from interlingua.models.trained import trained_reconstructor, trained_verbalizer
from interlingua.specs.recorded import from_jsonable
from interlingua.specs.training import ArTraining, AvTraining
from interlingua.stages.adopt import opened_from
from interlingua.stages.corpus import opened_space
from interlingua.stages.training import WEIGHTS_NAME
from interlingua.store.artifact import Artifact

AV_PREFIX, AR_PREFIX = "verbalizer.", "reconstructor."


def opened_speaker(
    inputs: Mapping[str, Artifact], host_tag: str, *, device: str, batch_rows: int
) -> tuple[Speaker, SharedSpace]:
    """The AV ready to speak of one host, and the way of that host into the shared space."""
    spec = from_jsonable(AvTraining, inputs["av"].record.spec)
    source, revision = opened_from(inputs["trunk"])
    tokenizer = load_tokenizer(source, revision=revision)
    weights = weights_of(inputs["av"], AV_PREFIX)
    verbalizer = trained_verbalizer(source, spec.av, weights, revision=revision, device=device)
    tags = list(dict.fromkeys((spec.anchor, host_tag)))
    space = opened_space(inputs, tags, anchor=spec.anchor, centring=spec.av.injection.centring)
    contract = contract_of(tokenizer, space.width, av=spec.av)
    speaker = Speaker(verbalizer, tokenizer, contract, device=device, batch_rows=batch_rows)
    return speaker, space


def opened_listener(inputs: Mapping[str, Artifact], *, device: str, batch_rows: int) -> Listener:
    """The AR ready to listen."""
    spec = from_jsonable(ArTraining, inputs["ar"].record.spec)
    source, revision = opened_from(inputs["trunk"])
    tokenizer = load_tokenizer(source, revision=revision)
    weights = weights_of(inputs["ar"], AR_PREFIX)
    reconstructor = trained_reconstructor(
        source, spec.ar, weights, revision=revision, device=device
    )
    contract = contract_of(tokenizer, reconstructor.width, ar=spec.ar)
    return Listener(reconstructor, tokenizer, contract, device=device, batch_rows=batch_rows)


def weights_of(artifact: Artifact, prefix: str) -> dict[str, Tensor]:
    """The trained weights of a model, by its own names."""
    weights = load((artifact.path / WEIGHTS_NAME).read_bytes())
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
