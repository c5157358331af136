"""The stages up to the encoders: passages, hosts, their rows, the maps that join them.

Knows how one is made from its inputs; which there are, and in what order, knows `graph.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from interlingua.specs.extraction import AdoptedHostSpec, ExtractSpec
from interlingua.specs.maps import EncoderSpec, FittingSpec
from interlingua.specs.placement import WorkKind
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.world import OracleSpec, WorldHostSpec
from interlingua.stages.graph.runs import (
    run_adopt,
    run_extract,
    run_fit,
    run_oracle,
    run_passages,
    run_pretrain,
)
from interlingua.store.artifact import Stage


class HostRows(NamedTuple):
    """The activations of one host, by what they may be used for."""

    fit: Stage
    dev: Stage


class Encoded(NamedTuple):
    """A host's rows and its encoder."""

    rows: HostRows
    encoder: Stage


def passages_stage(recipe: Recipe) -> Stage:
    """The texts of the recipe's world."""
    return Stage(
        kind="passages",
        label="world",
        spec=recipe.passages,
        run=run_passages,
        inputs={},
        revision=1,
    )


def host_stages(recipe: Recipe) -> dict[str, Stage]:
    """The pretrained hosts by tag, the most expensive first."""
    passages = passages_stage(recipe)
    return {
        host.tag: Stage(
            kind="host",
            label=host.tag,
            spec=host,
            run=run_pretrain,
            inputs={"passages": passages},
            revision=1,
        )
        for host in sorted(recipe.hosts, key=_cost, reverse=True)
    }


def adopted_stage(host: AdoptedHostSpec) -> Stage:
    """A host that was not made here."""
    return Stage(kind="adopted", label=host.tag, spec=host, run=run_adopt, inputs={}, revision=2)


def rows_of(recipe: Recipe, host: Stage, passages: Stage) -> HostRows:
    """The rows of a world host.

    A split has an artifact of its own, so that what was trained never has `test` in its lineage.
    """
    return both_splits(host, passages, reading_of(recipe, host, (Split.FIT,)))


def reading_of(recipe: Recipe, host: Stage, splits: tuple[Split, ...]) -> ExtractSpec:
    """What is read of a world host."""
    world_host: WorldHostSpec = host.spec
    return ExtractSpec(
        host_tag=world_host.tag,
        block_indices=(recipe.block.block_index(world_host.num_blocks),),
        read=recipe.read,
        max_tokens=world_host.max_positions,
        dtype=recipe.dtype,
        splits=splits,
    )


def both_splits(host: Stage, passages: Stage, spec: ExtractSpec) -> HostRows:
    """The same reading of `fit` and of `dev`."""
    return HostRows(
        fit=extraction_stage(host, passages, spec),
        dev=extraction_stage(host, passages, replace(spec, splits=(Split.DEV,))),
    )


def extraction_stage(host: Stage, passages: Stage, spec: ExtractSpec) -> Stage:
    """The rows of any host, made here or adopted."""
    return Stage(
        kind="activations",
        label="-".join([spec.host_tag, *spec.splits]),
        spec=spec,
        run=run_extract,
        inputs={"host": host, "passages": passages},
        revision=2,
        work=WorkKind.EXTRACTION,
    )


def oracle_stage(recipe: Recipe, rows: HostRows, passages: Stage) -> Stage:
    """What true facts could explain of one host's activations."""
    read: ExtractSpec = rows.fit.spec
    return Stage(
        kind="oracle",
        label=read.host_tag,
        spec=OracleSpec(seed=recipe.fitting.seed, block_index=read.block_indices[0]),
        run=run_oracle,
        inputs={"fit": rows.fit, "dev": rows.dev, "passages": passages},
        revision=2,
    )


def encoder_stages(
    recipe: Recipe, rows: Mapping[str, HostRows], tuned: Mapping[str, Stage] | None = None
) -> dict[str, Stage]:
    """The encoders by tag; a host that is held out is fitted as one that comes later.

    `tuned` are the trained hosts' encoders after the AV's training, where they took part in it.
    """
    anchor, trained = trained_encoders(recipe, rows, tuned)
    targets = trained or {recipe.anchor: anchor}
    return {
        recipe.anchor: anchor.encoder,
        **{tag: encoded.encoder for tag, encoded in trained.items()},
        **{
            tag: encoder_stage(recipe.fitting, rows[tag], targets, anchor)
            for tag in recipe.held_out
        },
    }


def trained_encoders(
    recipe: Recipe, rows: Mapping[str, HostRows], tuned: Mapping[str, Stage] | None = None
) -> tuple[Encoded, dict[str, Encoded]]:
    """The anchor with its encoder, and the trained hosts with theirs, fitted to the anchor.

    `tuned` are the latter's after the AV's training, where they took part in it.
    """
    anchor_rows = rows[recipe.anchor]
    anchor = Encoded(anchor_rows, anchor_encoder_stage(recipe.fitting, anchor_rows))
    if tuned:
        return anchor, {tag: Encoded(rows[tag], tuned[tag]) for tag in recipe.trained}
    only_anchor = {recipe.anchor: anchor}
    return anchor, {
        tag: Encoded(rows[tag], encoder_stage(recipe.fitting, rows[tag], only_anchor, anchor))
        for tag in recipe.trained
    }


def anchor_encoder_stage(fitting: FittingSpec, anchor: HostRows) -> Stage:
    """The identity, and the mean of the anchor's rows."""
    return _encoder_stage(fitting, anchor, (), {"anchor_dev": anchor.dev})


def encoder_stage(
    fitting: FittingSpec, own: HostRows, targets: Mapping[str, Encoded], anchor: Encoded
) -> Stage:
    """The encoder of one host, fitted to the mean of what those of the targets give."""
    inputs = {"anchor_dev": anchor.rows.dev, "anchor_encoder": anchor.encoder}
    for tag, target in targets.items():
        inputs |= {f"{tag}_fit": target.rows.fit, f"{tag}_encoder": target.encoder}
    return _encoder_stage(fitting, own, tuple(targets), inputs)


def _encoder_stage(
    fitting: FittingSpec, own: HostRows, targets: tuple[str, ...], inputs: Mapping[str, Stage]
) -> Stage:
    read: ExtractSpec = own.fit.spec
    return Stage(
        kind="encoder",
        label=read.host_tag,
        spec=EncoderSpec(
            host_tag=read.host_tag,
            block_index=read.block_indices[0],
            targets=targets,
            ridge=fitting.ridge if targets else None,
            block_rows=fitting.block_rows,
            seed=fitting.seed,
        ),
        run=run_fit,
        inputs={"fit": own.fit, "dev": own.dev, **inputs},
        revision=1,
    )


def _cost(host: WorldHostSpec) -> int:
    """Roughly the multiplications of its pretraining."""
    weights = 12 * host.num_blocks * host.width**2 + host.tokenizer.vocab_size * host.width
    return weights * host.pretrain.num_steps * host.pretrain.rows * host.pretrain.num_tokens
