"""Stages `encoder` and `tuned_encoder`: the linear map of one host into the shared space.

One is fitted on split `fit`, the other is what the AV's training left of it. Both are scored on
`dev` against the anchor's own vectors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from interlingua.specs.maps import EncoderSpec, FittingSpec, TunedEncoderSpec
from interlingua.specs.splits import Split
from interlingua.stages.running.context import Context
from interlingua.store.artifact import Artifact, Stage
from interlingua.store.inputs import Member

if TYPE_CHECKING:
    from interlingua.core.maps import Encoder
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.rows.splits import SplitAccess


class HostRows(NamedTuple, Generic[Member]):
    """The activations of one host, by the split that they are of."""

    fit: Member
    dev: Member


class Encoded(NamedTuple, Generic[Member]):
    """A host's rows and its encoder."""

    rows: HostRows[Member]
    encoder: Member


class Anchor(NamedTuple, Generic[Member]):
    """The anchor's own vectors of `dev`, which every encoder is scored against."""

    dev: Member
    encoder: Member


class Target(NamedTuple, Generic[Member]):
    """A host that an encoder is fitted to."""

    fit: Member
    encoder: Member


class EncoderInputs(NamedTuple, Generic[Member]):
    """A host's own rows, and what its encoder is fitted to.

    `anchor` is None for the anchor's own encoder; `targets` are empty then.
    """

    own: HostRows[Member]
    anchor: Anchor[Member] | None
    targets: Mapping[str, Target[Member]]


class TunedEncoderInputs(NamedTuple, Generic[Member]):
    """The AV that was trained with the encoder, and what it is scored on."""

    av: Member
    dev: Member
    anchor: Anchor[Member]


def anchor_encoder_stage(fitting: FittingSpec, anchor: HostRows[Stage]) -> Stage:
    """The identity, and the mean of the anchor's rows."""
    return _encoder_stage(fitting, EncoderInputs(anchor, None, {}))


def encoder_stage(
    fitting: FittingSpec,
    own: HostRows[Stage],
    targets: Mapping[str, Encoded[Stage]],
    anchor: Encoded[Stage],
) -> Stage:
    """The encoder of one host, fitted to the mean of what those of the targets give."""
    inputs = EncoderInputs(
        own,
        Anchor(anchor.rows.dev, anchor.encoder),
        {tag: Target(one.rows.fit, one.encoder) for tag, one in targets.items()},
    )
    return _encoder_stage(fitting, inputs)


def _encoder_stage(fitting: FittingSpec, inputs: EncoderInputs[Stage]) -> Stage:
    read = inputs.own.fit.spec
    return Stage(
        kind="encoder",
        label=read.host_tag,
        spec=EncoderSpec(
            host_tag=read.host_tag,
            block_index=read.block_indices[0],
            targets=tuple(inputs.targets),
            # Nothing is fitted for the anchor, so that no ridge is in its fingerprint.
            ridge=fitting.ridge if inputs.targets else None,
            block_rows=fitting.block_rows,
            seed=fitting.seed,
        ),
        run=run,
        inputs=inputs,
        revision=1,
    )


def tuned_encoder_stage(
    fitting: FittingSpec, av: Stage, own: HostRows[Stage], anchor: Encoded[Stage]
) -> Stage:
    """The encoder of a trained host as the AV's training left it."""
    read = own.fit.spec
    return Stage(
        kind="tuned_encoder",
        label=read.host_tag,
        spec=TunedEncoderSpec(
            host_tag=read.host_tag, block_index=read.block_indices[0], seed=fitting.seed
        ),
        run=run_tuned,
        inputs=TunedEncoderInputs(av, own.dev, Anchor(anchor.rows.dev, anchor.encoder)),
        revision=1,
    )


def run(
    spec: EncoderSpec, inputs: EncoderInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Fit the encoder, store it, and score it on `dev` against the anchor's own vectors."""
    from interlingua.stages.maps.encoder_fit import Targets, dev_scores, fitted, identity
    from interlingua.stages.rows.keyed import KeyedRows, opened_rows
    from interlingua.store.maps import read_encoder, write_encoder
    from interlingua.store.rows.splits import recorded_access

    with recorded_access({Split.FIT, Split.DEV}, out) as access:
        host = KeyedRows(inputs.own.fit, spec.block_index, {Split.FIT}, access)
        # Only the anchor's own encoder has no ridge.
        if spec.ridge is None:
            encoder, report = identity(host, spec)
        else:
            targets = Targets(
                [
                    opened_rows(target.fit, [Split.FIT], access)
                    for target in inputs.targets.values()
                ],
                [read_encoder(target.encoder.path) for target in inputs.targets.values()],
            )
            encoder, report = fitted(host, targets, spec, spec.ridge)
        write_encoder(out, encoder)
        # Scored in the same stage: an encoder that does not fit is seen before anything learns.
        dev = KeyedRows(inputs.own.dev, spec.block_index, {Split.DEV}, access)
        scores = dev_scores(encoder, dev, _opened(inputs.anchor, access), seed=spec.seed)
    return {"block_index": spec.block_index, "width": host.width, **report, **scores}


def run_tuned(
    spec: TunedEncoderSpec, inputs: TunedEncoderInputs[Artifact], out: Path, context: Context
) -> Mapping[str, Any]:
    """Copy the encoder that the AV's training left, and score it in the same way."""
    from interlingua.stages.maps.encoder_fit import dev_scores
    from interlingua.stages.rows.keyed import KeyedRows
    from interlingua.store.maps import ENCODERS, read_encoder, write_encoder
    from interlingua.store.rows.splits import recorded_access

    # An artifact of its own: readers of encoders need not know how one was made.
    encoder = read_encoder(inputs.av.path / ENCODERS / spec.host_tag)
    write_encoder(out, encoder)
    with recorded_access({Split.DEV}, out) as access:
        dev = KeyedRows(inputs.dev, spec.block_index, {Split.DEV}, access)
        scores = dev_scores(encoder, dev, _opened(inputs.anchor, access), seed=spec.seed)
    return {"block_index": spec.block_index, "width": encoder.weight_ED.shape[1], **scores}


def _opened(
    anchor: Anchor[Artifact] | None, access: "SplitAccess"
) -> "tuple[KeyedRows, Encoder] | None":
    """The anchor's rows of `dev` and its encoder; None where the host is the anchor itself."""
    from interlingua.stages.rows.keyed import opened_rows
    from interlingua.store.maps import read_encoder

    if anchor is None:
        return None
    return opened_rows(anchor.dev, [Split.DEV], access), read_encoder(anchor.encoder.path)
