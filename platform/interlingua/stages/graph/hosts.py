"""The hosts of a recipe, their rows, and the maps that join them."""

from collections.abc import Mapping
from dataclasses import replace

from interlingua.specs.extraction import ExtractSpec
from interlingua.specs.recipe import Recipe
from interlingua.specs.splits import Split
from interlingua.specs.world import WorldHostSpec
from interlingua.stages.maps.encoder import (
    Encoded,
    HostRows,
    anchor_encoder_stage,
    encoder_stage,
)
from interlingua.stages.rows.activations import activations_stage
from interlingua.stages.rows.host import host_stage
from interlingua.store.artifact import Stage


def host_stages(recipe: Recipe, passages: Stage) -> dict[str, Stage]:
    """The pretrained hosts by tag, the most expensive first."""
    return {
        host.tag: host_stage(host, passages)
        for host in sorted(recipe.hosts, key=_cost, reverse=True)
    }


def rows_of(recipe: Recipe, host: Stage, passages: Stage) -> HostRows[Stage]:
    """The rows of a world host.

    A split has an artifact of its own, so that what was trained never has `test` in its lineage.
    """
    return both_splits(host, passages, reading_of(recipe, host, (Split.FIT,)))


def reading_of(recipe: Recipe, host: Stage, splits: tuple[Split, ...]) -> ExtractSpec:
    """The ExtractSpec of a world host: its block, and how its rows of these splits are read."""
    world_host: WorldHostSpec = host.spec
    return ExtractSpec(
        host_tag=world_host.tag,
        block_indices=(recipe.block.block_index(world_host.num_blocks),),
        read=recipe.read,
        max_tokens=world_host.max_positions,
        dtype=recipe.dtype,
        splits=splits,
    )


def both_splits(host: Stage, passages: Stage, spec: ExtractSpec) -> HostRows[Stage]:
    """The same reading of `fit` and of `dev`."""
    return HostRows(
        fit=activations_stage(host, passages, spec),
        dev=activations_stage(host, passages, replace(spec, splits=(Split.DEV,))),
    )


def encoder_stages(
    recipe: Recipe,
    rows: Mapping[str, HostRows[Stage]],
    tuned: Mapping[str, Stage] | None = None,
) -> dict[str, Stage]:
    """The encoders by tag; a host that is held out is fitted as one that comes later.

    `tuned` are the trained hosts' encoders after the AV's training, where they took part in it.
    """
    anchor, trained = trained_encoders(recipe, rows, tuned)
    # The pair learned from vectors of the trained encoders: a held-out host is fitted to their
    # mean, or to the anchor where no host is trained.
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
    recipe: Recipe,
    rows: Mapping[str, HostRows[Stage]],
    tuned: Mapping[str, Stage] | None = None,
) -> tuple[Encoded[Stage], dict[str, Encoded[Stage]]]:
    """The anchor with its encoder, and the trained hosts with theirs, fitted to the anchor.

    `tuned` are the latter's after the AV's training, where they took part in it.
    """
    anchor_rows = rows[recipe.anchor]
    anchor = Encoded(anchor_rows, anchor_encoder_stage(recipe.fitting, anchor_rows))
    # The anchor is never among them: its map is the identity, and stays so in training.
    if tuned:
        return anchor, {tag: Encoded(rows[tag], tuned[tag]) for tag in recipe.trained}
    only_anchor = {recipe.anchor: anchor}
    return anchor, {
        tag: Encoded(rows[tag], encoder_stage(recipe.fitting, rows[tag], only_anchor, anchor))
        for tag in recipe.trained
    }


def _cost(host: WorldHostSpec) -> int:
    """Roughly the multiplications of its pretraining."""
    # 12 width^2 weights a block is the usual count, of attention and MLP together.
    weights = 12 * host.num_blocks * host.width**2 + host.tokenizer.vocab_size * host.width
    return weights * host.pretrain.num_steps * host.pretrain.rows * host.pretrain.num_tokens
