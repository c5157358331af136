"""The hosts of a recipe, their rows, and the maps that join them."""

from collections.abc import Mapping

from interlingua.specs.extraction import ExtractSpec
from interlingua.specs.models import HostSpec, HubHost
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
from interlingua.stages.rows.adopted_host import adopted_stage
from interlingua.stages.rows.host import host_stage
from interlingua.stages.rows.stored_rows import stored_rows_stage
from interlingua.store.artifact import Stage


def host_stages(recipe: Recipe, passages: Stage) -> dict[str, Stage]:
    """The hosts by tag, the most expensive first."""
    hosts = sorted(recipe.hosts, key=lambda host: _cost(host.source), reverse=True)
    return {host.tag: host_stage_of(host, passages) for host in hosts}


def host_stage_of(host: HostSpec, passages: Stage) -> Stage:
    """A host: pretrained here, or from elsewhere."""
    if isinstance(host.source, HubHost):
        return adopted_stage(host.source)
    return host_stage(host.source, passages)


def rows_of(recipe: Recipe, tag: str, host: Stage, passages: Stage) -> HostRows[Stage]:
    """The rows of `fit` and of `dev`.

    A split has an artifact of its own, so that what was trained never has `test` in its lineage.
    """
    fit, dev = (
        rows_stage(recipe, tag, host, passages, (split,)) for split in (Split.FIT, Split.DEV)
    )
    return HostRows(fit=fit, dev=dev)


def rows_stage(
    recipe: Recipe, tag: str, host: Stage, passages: Stage, splits: tuple[Split, ...]
) -> Stage:
    """The rows of a host of the recipe: its block, and how its rows of these splits are read."""
    own = recipe.host(tag)
    spec = ExtractSpec(
        host_tag=tag,
        block_indices=(own.block_index,),
        read=recipe.read,
        max_tokens=own.max_tokens,
        dtype=own.dtype,
        splits=splits,
        # A rendered chat has its special tokens in the text.
        adds_special_tokens=recipe.passages.chat is None,
    )
    if own.rows is not None:
        return stored_rows_stage(host, passages, spec, own.rows)
    return activations_stage(host, passages, spec)


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


def _cost(source: WorldHostSpec | HubHost) -> int:
    """Roughly the multiplications of its pretraining."""
    if isinstance(source, HubHost):
        return 0
    # 12 width^2 weights a block is the usual count, of attention and MLP together.
    weights = 12 * source.num_blocks * source.width**2
    weights += source.tokenizer.vocab_size * source.width
    return weights * source.pretrain.num_steps * source.pretrain.rows * source.pretrain.num_tokens
