"""Stage `decoder`: the linear map from the shared space back into one host.

Fitted on what the AR makes of the AV's own samples of `fit`, because these are the texts that it
will be given, not the teacher's. How well it does is measured by the evaluation. `FromEncoder`
fits it on encoded activations, as a run did that failed by it: a stage of its own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple

from interlingua.specs.decoders import DecoderSpec, EncodedDecoderSpec
from interlingua.specs.evaluation import Predictor
from interlingua.specs.injection import Centring
from interlingua.specs.maps import RidgeSpec
from interlingua.specs.splits import Split
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member


class DecoderInputs(NamedTuple, Generic[Member]):
    """A host's rows of `fit`, the texts and vectors that the pair made of them, its encoder."""

    fit: Member
    verbalized: Member
    encoder: Member


def decoder_stage(ridge: RidgeSpec, inputs: DecoderInputs[Stage], labels: Sequence[str]) -> Stage:
    """The map back into one host."""
    read = inputs.fit.spec
    return Stage(
        kind="decoder",
        label="-".join(labels),
        spec=DecoderSpec(host_tag=read.host_tag, block_index=read.block_indices[0], ridge=ridge),
        run=run,
        inputs=inputs,
        revision=2,
    )


class EncodedInputs(NamedTuple, Generic[Member]):
    """A host's rows of `fit`, and the encoders of the host and of the anchor by tag."""

    fit: Member
    encoders: Mapping[str, Member]


def encoded_decoder_stage(
    anchor: str,
    centring: Centring,
    ridge: RidgeSpec,
    inputs: EncodedInputs[Stage],
    labels: Sequence[str],
) -> Stage:
    """The map back into one host that never sees what the AR makes of a text."""
    read = inputs.fit.spec
    return Stage(
        kind="decoder",
        label="-".join(labels),
        spec=EncodedDecoderSpec(
            host_tag=read.host_tag,
            block_index=read.block_indices[0],
            anchor=anchor,
            centring=centring,
            ridge=ridge,
        ),
        run=run_encoded,
        inputs=inputs,
        revision=1,
    )


def run(
    spec: DecoderSpec, inputs: DecoderInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the decoder and store it; the metrics are those of its fit."""
    from interlingua.stages.maps.decoder_fit import fitted
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.maps import read_encoder, write_decoder
    from interlingua.store.rows.splits import recorded_access
    from interlingua.store.rows.verbalized import read_verbalized

    encoder = read_encoder(inputs.encoder.path)
    with recorded_access({Split.FIT}, out) as access:
        rebuilt = read_verbalized(inputs.verbalized.path, Split.FIT, Predictor.SAMPLED, access)
        # The rows of all splits but `fit` stay closed, whatever the artifact holds.
        rows = KeyedRows(inputs.fit, spec.block_index, {Split.FIT}, access)
        decoder, report = fitted(rebuilt, rows, encoder, spec)
        write_decoder(out, decoder)
    return report


def run_encoded(
    spec: EncodedDecoderSpec, inputs: EncodedInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the decoder on encoded activations and store it; the metrics are those of its fit."""
    from interlingua.stages.maps.decoder_fit import fitted_on_encoded
    from interlingua.stages.maps.space import opened_space
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.maps import read_encoder, write_decoder
    from interlingua.store.rows.splits import recorded_access

    encoder = read_encoder(inputs.encoders[spec.host_tag].path)
    space = opened_space(inputs.encoders, anchor=spec.anchor, centring=spec.centring)
    with recorded_access({Split.FIT}, out) as access:
        rows = KeyedRows(inputs.fit, spec.block_index, {Split.FIT}, access)
        decoder, report = fitted_on_encoded(rows, space, encoder, spec)
        write_decoder(out, decoder)
    return report
