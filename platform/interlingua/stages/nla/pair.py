"""The trained pair as stages open it: from the artifacts of trunk, AV and AR.

One artifact of reinforcement learning may stand for both: it holds both models' weights.
"""

from collections.abc import Mapping

from interlingua.core.shared_space import SharedSpace
from interlingua.models.hosts.host import load_tokenizer
from interlingua.models.pair.fresh import contract_of, fresh_verbalizer
from interlingua.models.pair.trained import trained_reconstructor, trained_verbalizer
from interlingua.models.pair.verbalizer import Verbalizer
from interlingua.models.sampling.batched import BatchReconstructor, BatchVerbalizer
from interlingua.specs.rl import RlTraining
from interlingua.specs.text.canonical import TYPE_KEY
from interlingua.specs.text.recorded import from_jsonable
from interlingua.specs.training import ArTraining, AvTraining
from interlingua.stages.maps.space import opened_space
from interlingua.stages.nla.inputs import PairInputs
from interlingua.stages.sft.best_weights import AR_PREFIX, AV_PREFIX, weights_of
from interlingua.store.artifact import Artifact
from interlingua.store.hosts import opened_from


def opened_verbalizer(
    pair: PairInputs[Artifact], *, device: str, batch_rows: int, is_trained: bool = True
) -> BatchVerbalizer:
    """The AV ready to verbalize, as it is or as the trunk was before any training."""
    spec = av_training_of(pair.av)
    source, revision = opened_from(pair.trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    if is_trained:
        weights = weights_of(pair.av, AV_PREFIX)
        verbalizer = trained_verbalizer(source, spec.av, weights, revision=revision, device=device)
    else:
        # The seed of its spec makes the very adapters that a training from the trunk begins with.
        verbalizer = fresh_verbalizer(source, spec.av, revision=revision, device=device)
        verbalizer = verbalizer.to(device).eval()
    contract = contract_of(tokenizer, width_of(verbalizer), av=spec.av)
    return BatchVerbalizer(verbalizer, tokenizer, contract, device=device, batch_rows=batch_rows)


def width_of(verbalizer: Verbalizer) -> int:
    """The width of the AV's trunk, which is that of the shared space."""
    width: int = verbalizer.trunk.model.get_input_embeddings().embedding_dim
    return width


def opened_space_of(av: Artifact, encoders: Mapping[str, Artifact], host_tag: str) -> SharedSpace:
    """The shared space with one host and the anchor: its `v_of` gives what the AV reads."""
    spec = av_training_of(av)
    tags = dict.fromkeys((spec.anchor, host_tag))
    return opened_space(
        {tag: encoders[tag] for tag in tags},
        anchor=spec.anchor,
        centring=spec.av.injection.centring,
    )


def opened_reconstructor_of(
    trunk: Artifact, ar: Artifact, *, device: str, batch_rows: int
) -> BatchReconstructor:
    """The AR ready to reconstruct."""
    spec = ar_training_of(ar)
    source, revision = opened_from(trunk)
    tokenizer = load_tokenizer(source, revision=revision)
    weights = weights_of(ar, AR_PREFIX)
    reconstructor = trained_reconstructor(
        source, spec.ar, weights, revision=revision, device=device
    )
    contract = contract_of(tokenizer, reconstructor.width, ar=spec.ar)
    return BatchReconstructor(
        reconstructor, tokenizer, contract, device=device, batch_rows=batch_rows
    )


def av_training_of(artifact: Artifact) -> AvTraining | RlTraining:
    """The spec of an AV's last training, which has its AvSpec as `av`."""
    if is_reinforced(artifact):
        return from_jsonable(RlTraining, artifact.record.spec)
    return from_jsonable(AvTraining, artifact.record.spec)


def ar_training_of(artifact: Artifact) -> ArTraining | RlTraining:
    """The spec of an AR's last training, which has its ArSpec as `ar`."""
    if is_reinforced(artifact):
        return from_jsonable(RlTraining, artifact.record.spec)
    return from_jsonable(ArTraining, artifact.record.spec)


def is_reinforced(artifact: Artifact) -> bool:
    """True where a model's last training was reinforcement learning."""
    return bool(artifact.record.spec[TYPE_KEY] == RlTraining.__name__)
